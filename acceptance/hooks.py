"""The one thing that JSON Schema cannot say about a request of the contract."""

import schemathesis


# To JSON Schema 2010.0 is an `integer`. The contract's `year` is a 32-bit integer, which is written
# without a fraction (the description of the request body says so): the target answers 2010.0 with
# 422 on purpose, as most typed languages do. So a valid year is sent as 2010; it is as valid, or as
# invalid, as it was, and every check still applies to it.
@schemathesis.hook.apply_to(operation_id="create_movie")
def map_body(context, body):
    year = body.get("year") if isinstance(body, dict) else None
    if isinstance(year, float) and year.is_integer():
        return {**body, "year": int(year)}
    return body
