"""Models that lie elsewhere: folders of other programs, used without copying."""
