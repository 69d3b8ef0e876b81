"""What a person needs to judge a run: gathered from ledger and tables, shown as tables, as data or as one page."""

from deployment.review.gather import Review, gather_review, review_data
from deployment.review.page import review_page
from deployment.review.tables import review_tables

__all__ = ["Review", "gather_review", "review_data", "review_page", "review_tables"]
