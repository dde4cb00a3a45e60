"""Orders: they reserve articles on the shelf and add up what the customer pays."""

from shop.stock import OutOfStock, Shelf

TAX_PERCENT = 8


def place_order(shelf: Shelf, wanted: dict[str, int]) -> bool:
    """Take every wanted article from the shelf, or none of them."""
    taken: list[tuple[str, int]] = []
    for article, amount in wanted.items():
        try:
            shelf.take(article, amount)
        except OutOfStock:
            for name, count in taken:
                shelf.receive(name, count)
            return False
        taken.append((article, amount))
    return True


def total_with_tax(net_cents: int) -> int:
    """What the customer pays, in cents, rounded up."""
    return -(-net_cents * (100 + TAX_PERCENT) // 100)
