"""A made-up world of deals, to try bqloop on: any size, any number of days, and it knows the truth.

Needs NumPy, which the `local` extra brings; nothing that runs on Google Cloud imports this package.
"""

from etl.sample_deals.days import DayOfDeals, day_batches, generate_day, write_day
from etl.sample_deals.labels import generate_labels
from etl.sample_deals.world import World

__all__ = ["DayOfDeals", "World", "day_batches", "generate_day", "generate_labels", "write_day"]
