"""kalshi-python-sync 3.2.0: the newest of Kalshi's own that pip takes on Python 3.11."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kalshi_python_sync import ApiException, Configuration, KalshiClient
from pydantic import ValidationError

from tests.clients.visit import HELD, Exchange


def visit(exchange: Exchange) -> dict[str, object]:
    """Read and sell as in 2025; return what became of it."""
    settings = Configuration(host=exchange.rest_url)
    settings.api_key_id = exchange.key_id
    settings.private_key_pem = Path(exchange.private_key_path).read_text()
    client = KalshiClient(settings)
    seen: dict[str, object] = {"trading": client.get_exchange_status().trading_active}
    for name, read in (("markets", client.get_markets), ("positions", client.get_positions)):
        try:
            seen[name] = str(read())
        except ValidationError as problem:
            seen[name] = sorted({str(error["loc"][0]) for error in problem.errors()})
    try:
        client.create_order(ticker=HELD, side="yes", action="sell", count=1, type="limit", yes_price=1)
    except ApiException as refusal:
        seen["order"] = [refusal.status, json.loads(refusal.body)["error"]["code"]]
    return seen


if __name__ == "__main__":
    print(json.dumps(visit(Exchange(**json.loads(sys.argv[1])))))
