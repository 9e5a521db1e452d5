"""``limner tune``: adapt a model to one's own subject or style, and see whether it worked."""

from __future__ import annotations

import click

from limner.cli import tune_lora, tune_show


@click.group("tune", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Adapt a model to your own pictures with a LoRA, and see what came of it (docs/tuning.md).

    \b
    limner tune lora --data foxes/ --subject "sks fox" --out my-fox.safetensors
    limner tune show my-fox.safetensors --data foxes/
    limner --lora my-fox.safetensors "a sks fox on the beach"
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


command.add_command(tune_lora.command)
command.add_command(tune_show.command)
