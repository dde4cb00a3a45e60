"""Stock levels of a small shop: what is on the shelf, and what may be sold."""

from dataclasses import dataclass, field


class OutOfStock(Exception):
    """Raised when an order asks for more than the shelf holds."""


@dataclass
class Shelf:
    """Counts of articles by their name."""

    counts: dict[str, int] = field(default_factory=dict)

    def receive(self, article: str, amount: int) -> None:
        """Add a delivery to the shelf."""
        self.counts[article] = self.counts.get(article, 0) + amount

    def take(self, article: str, amount: int) -> None:
        """Remove what was sold; OutOfStock if there is less."""
        left = self.counts.get(article, 0) - amount
        if left < 0:
            raise OutOfStock(f"{article}: {-left} missing")
        self.counts[article] = left
