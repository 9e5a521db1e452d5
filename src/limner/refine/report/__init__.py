"""A verdict as one HTML file that needs nothing else: no network, no script from elsewhere, no picture beside it."""

from limner.refine.report.page import REPORT as REPORT
from limner.refine.report.page import Report as Report
from limner.refine.report.page import render as render
from limner.refine.report.page import write as write
