/** Writes an amount of cents the way a receipt shows it. */
export function formatCents(cents: number, currency = "EUR"): string {
  const units = Math.trunc(cents / 100);
  const rest = Math.abs(cents % 100).toString().padStart(2, "0");
  return `${units}.${rest} ${currency}`;
}
