#!/usr/bin/env python3
"""The HTTP face and the tool's commands over it, against the oracle.

Method: real events by POST to a daemon whose catalog lacks one of their tenants; answers compared
with the oracle's; the catalog is extended, exceptions are retried, answers compared again;
discards, the feed by pages, closes; kill and restart; at last a table of malformed requests.
"""

import json
import re
import sys
import time

import _daemon
import _http

CHECKS = _http.Checks()
PARTS = ("windows", "lines", "unrated", "summary")
AT = "2024-02-10T00:00:00Z"  # of a period without usage
NOT_EVENTS = [b"\n", b"{]\n", b"[1]\n", b"7\n", b'{"tenant":NaN}\n', b'{"tenant":"\xff"}\n']


def compare(client, want, when, at=False):
    for part in PARTS:
        query = f"?at={AT}" if at and part == "lines" else ""
        if at and part != "lines":
            continue
        CHECKS.equal(f"{when}: {part}{query}", client.get(f"/v1/{part}{query}").lines(), want[part])


def without_fabrikam(catalog):
    small = json.loads(json.dumps(catalog))
    for list_name, key in (("tenants", "key"), ("contracts", "tenant")):
        small[list_name] = [one for one in small[list_name] if one[key] != "fabrikam"]
    return small


def odd_events():
    """One for each kind of verdict that the trace does not have."""
    good = {"tenant": "contoso", "type": "llm.call", "id": "odd-1", "time": "2023-11-16T18:20:00Z",
            "props": {"model": "m", "service": "s", "input_tokens": 5, "output_tokens": "7"}}
    rows = [good, dict(good, time="2023-11-16T18:21:00Z"), dict(good, id="odd-2", time="never"),
            dict(good, id=""), dict(good, id="odd-3", type="nothing"),
            dict(good, id="odd-4", props={"model": "m", "input_tokens": 1}),
            dict(good, id="odd-5", props={"input_tokens": "0.5", "output_tokens": 1}),
            dict(good, id=7)]
    return [json.dumps(row).encode() + b"\n" for row in rows]


def ingest(client, lines):
    """Three bodies with lines between that are no events; the verdicts against the counts."""
    third = len(lines) // 3
    sums = {}
    for number, part in enumerate((lines[:third], lines[third:2 * third], lines[2 * third:])):
        body = b"".join(part[:10] + NOT_EVENTS + part[10:])
        answer = client.post("/v1/events", body)
        said = answer.json()
        not_accepted, refused = said.pop("not_accepted"), said.pop("refused")
        CHECKS.equal(f"post {number}: position header", answer.headers["Venturi-Position"],
                     str(said["position"]))
        CHECKS.equal(f"post {number}: refused lines", [one["line"] for one in refused],
                     list(range(11, 11 + len(NOT_EVENTS))))
        CHECKS.equal(f"post {number}: refusals", {one["code"] for one in refused}, {"VT_BAD_JSON"})
        CHECKS.equal(f"post {number}: not accepted", len(not_accepted),
                     said["duplicates"] + said["exceptions"])
        CHECKS.equal(f"post {number}: received", said["received"], len(part))
        named = [one["line"] for one in not_accepted]
        CHECKS.true(f"post {number}: lines ascend", named == sorted(set(named)))
        for key, value in said.items():
            sums[key] = sums.get(key, 0) + value
    return sums


def check_exceptions(client):
    """retry by reason after the catalog was extended, discard by position, pages."""
    pages, after = [], 0
    while True:
        answer = client.get(f"/v1/exceptions?limit=1000&after={after}")
        if not answer.body:
            break
        pages += answer.lines()
        after = int(answer.headers["Venturi-Cursor"])
    CHECKS.equal("exceptions by pages", pages, client.get("/v1/exceptions?limit=100000").lines())
    positions = [one["position"] for one in pages]
    CHECKS.true("positions ascend", positions == sorted(set(positions)))
    unknown = [one for one in pages if one["reason"] == "unknown_tenant"]
    CHECKS.equal("exceptions of a reason",
                 client.get("/v1/exceptions?limit=100000&reason=unknown_tenant").lines(), unknown)
    said = client.post("/v1/exceptions/retry?reason=unknown_tenant").json()
    CHECKS.equal("retry", (said["asked"], said["settled"]), (len(unknown), len(unknown)))
    rest = client.get("/v1/exceptions?limit=100000").lines()
    CHECKS.equal("still open", [one["position"] for one in rest if one["reason"] != "conflict"],
                 [one["position"] for one in pages
                  if one["reason"] not in ("unknown_tenant", "conflict")])
    return rest


def check_discard(client, open_ones):
    before = client.get("/v1/summary").json()
    body = json.dumps({"positions": [open_ones[0]["position"], 10**12]}).encode()
    said = client.post("/v1/exceptions/discard", body).json()
    CHECKS.equal("discard", (said["asked"], said["settled"]), (2, 1))
    CHECKS.equal("after a discard", client.get("/v1/exceptions?limit=100000").lines(),
                 open_ones[1:])
    CHECKS.equal("a discarded one stays counted", client.get("/v1/summary").json(), before)


def key_of(row):
    return (row["tenant"], row["meter"], row["window_start"], json.dumps(row["group"]))


def check_feed(client):
    """Every revision once, whatever the page; revisions add up to the windows, all being final."""
    whole = client.get("/v1/feed?limit=100000").lines()
    for size in (1, 7, 1000):
        rows, cursor = [], ""
        while True:
            path = f"/v1/feed?limit={size}&cursor={cursor}"
            answer = client.get(path)
            if not answer.body:
                CHECKS.equal("the cursor stays", answer.headers["Venturi-Cursor"], cursor)
                break
            CHECKS.true("a page is no larger", len(answer.lines()) <= size)
            cursor = answer.headers["Venturi-Cursor"]
            rows += answer.lines()
            CHECKS.true("the header's cursor", rows[-1]["cursor"] == cursor)
            if size == 1 and len(rows) >= 40:
                break
        CHECKS.equal(f"the feed by pages of {size}", rows, whole if size > 1 else whole[:40])
    again = client.get(f"/v1/feed?limit=5&cursor={whole[4]['cursor']}").body
    CHECKS.equal("the same cursor, the same bytes",
                 client.get(f"/v1/feed?limit=5&cursor={whole[4]['cursor']}").body, again)
    last, revisions = {}, {}
    for row in whole:
        CHECKS.done += 1
        revisions.setdefault(key_of(row), []).append(row["revision"])
        last[key_of(row)] = (row["count"], row["value"])
    for key, numbers in revisions.items():
        first = numbers[0]
        if first not in (1, 2) or numbers != list(range(first, first + len(numbers))):
            CHECKS.equal(f"revisions of {key}", numbers, list(range(1, len(numbers) + 1)))
    want = {key_of(row): (row["count"], row["value"]) for row in client.get("/v1/windows").lines()}
    CHECKS.equal("last revisions are the windows", last, want)
    return whole


def check_close(client):
    """Windows that still fill: listed by a dry run, closed by force, in the feed as closed."""
    now = time.gmtime(time.time() + 7200)
    ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4 * 3600))
    row = {"tenant": "contoso", "type": "llm.call", "time": ahead,
           "props": {"model": "m", "service": "s", "input_tokens": 5, "output_tokens": 7}}
    body = b"".join(json.dumps(dict(row, id=f"ahead-{n}")).encode() + b"\n" for n in range(3))
    CHECKS.equal("ahead", client.post("/v1/events", body).json()["accepted"], 3)
    path = f"/v1/close?before={before}"
    CHECKS.equal("a close of the future", client.ask("POST", path).status, 400)
    want = [one for one in client.get("/v1/windows").lines() if one["window_start"] >= "2024"]
    CHECKS.equal("windows ahead", len(want), 4)
    for query, dry in (("&dry_run&force", True), ("&force=true", False)):
        said = client.post(path + query).lines()
        CHECKS.equal(f"close{query}", said[:-1], want)
        CHECKS.equal(f"close{query}: end", (said[-1]["closed"], said[-1]["dry_run"]), (4, dry))
    CHECKS.equal("closed already", client.post(path + "&dry_run&force").lines()[-1]["closed"], 0)
    closed = [one for one in client.get("/v1/feed?limit=100000").lines()
              if one["window_start"] >= "2024"]
    CHECKS.equal("closed in the feed", sorted(map(key_of, closed)), sorted(map(key_of, want)))
    CHECKS.true("closed is said", all(one["closed"] for one in closed))


def check_tool(daemon, client, catalog_path):
    """The commands print what the routes answer; exit statuses."""
    url = f"http://127.0.0.1:{daemon.http}"
    token = daemon.token().decode()
    for words, path in ((["windows"], "/v1/windows"), (["lines"], "/v1/lines"),
                        (["windows", "--tenant", "contoso", "--meter", "calls", "--start",
                          "2023-11-16T18:20:00Z", "--end", "2023-11-16T18:25:00Z"],
                         "/v1/windows?tenant=contoso&meter=calls&start=2023-11-16T18:20:00Z"
                         "&end=2023-11-16T18:25:00Z"),
                        (["lines", "--at", AT], f"/v1/lines?at={AT}"), (["unrated"], "/v1/unrated"),
                        (["summary"], "/v1/summary"),
                        (["summary", "--by-tenant"], "/v1/summary?by=tenant"),
                        (["feed", "--limit", "50"], "/v1/feed?limit=100000"),
                        (["exceptions", "list"], "/v1/exceptions?limit=100000"),
                        (["catalog", "show"], "/v1/catalog")):
        status, out, said = _http.venturi(*words, "--from", url, token=token)
        CHECKS.equal(f"venturi {' '.join(words)}", (status, out, said),
                     (0, client.get(path).body, ""))
    statuses = (
        (["windows"], token, 2),
        (["windows", "--from", url, "more"], token, 2),
        (["windows", "--from", url], "vt_0000000000000000_" + 64 * "0", 1),
        (["lines", "--from", url, "--tenant", "nobody"], token, 1),
        (["lines", "--from", "http://127.0.0.1:1"], token, 1),
        (["close", "--from", url, "--before", "2023-01-01T00:00:00Z"], token, 0),
        (["close", "--from", url], token, 2),
        (["catalog", "diff", "--from", url, catalog_path], token, 0),
        (["catalog", "apply", "--from", url, catalog_path], token, 0),
        (["exceptions", "retry", "--from", url, "--position", "1"], token, 3),
        (["exceptions", "retry", "--from", url], token, 1),
        (["exceptions", "drop", "--from", url], token, 2),
    )
    for words, a_token, want in statuses:
        status, _, said = _http.venturi(*words, token=a_token)
        CHECKS.equal(f"venturi {' '.join(map(str, words))}: {said}", status, want)


def check_metrics(client, events):
    text = client.get("/metrics").body.decode()
    for line in text.splitlines():
        if not re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"[^\"]*\"\})? \d+", line):
            CHECKS.equal("a line of /metrics", line, "a line of the text format")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    CHECKS.equal("every metric has a HELP", {name.split("{")[0] for name in values}, names)
    CHECKS.equal("events", int(values["venturi_events_total"]), events)
    CHECKS.true("ids within the budget",
                0 < int(values["venturi_dedup_ids"]) <= int(values["venturi_dedup_ids_max"]))
    CHECKS.true("answers", int(values['venturi_http_answers_total{code="200"}']) > 0)


def hostile(tokens, catalog):
    """(method, path, body, token, status, code) of each malformed request."""
    big = {"Content-Length": str(1 << 30), "Expect": "100-continue"}
    changed = json.loads(json.dumps(catalog))
    changed["meters"][0]["window"] = "1h"
    broken = json.loads(json.dumps(catalog))
    broken["plans"][0]["charges"][0]["price"] = "0,1"
    event = odd_events()[0]
    read, write, contoso = tokens
    admin = ""
    return (
        ("GET", "/v1/summary", None, None, 401, "VT_BAD_TOKEN"),
        ("GET", "/v1/summary", None, "x", 401, "VT_BAD_TOKEN"),
        ("GET", "/v1/summary", None, "vt_" + 200 * "0", 401, "VT_BAD_TOKEN"),
        ("GET", "/v1/summary", None, "vt_0000000000000000_" + 64 * "0", 401, "VT_BAD_TOKEN"),
        ("GET", "/v1/summary", None, read[:-1] + "g", 401, "VT_BAD_TOKEN"),
        ("GET", "/metrics", None, None, 401, "VT_BAD_TOKEN"),
        ("GET", "/v1/summary", None, write, 403, "VT_FORBIDDEN"),
        ("POST", "/v1/events", event, read, 403, "VT_FORBIDDEN"),
        ("POST", "/v1/close?before=2023-01-01T00:00:00Z", b"", read, 403, "VT_FORBIDDEN"),
        ("POST", "/v1/catalog", b"{}", read, 403, "VT_FORBIDDEN"),
        ("POST", "/v1/exceptions/retry?reason=bad_time", b"", read, 403, "VT_FORBIDDEN"),
        ("GET", "/v1/summary", None, contoso, 403, "VT_FORBIDDEN"),
        ("GET", "/v1/feed", None, contoso, 403, "VT_FORBIDDEN"),
        ("GET", "/v1/lines?tenant=fabrikam", None, contoso, 403, "VT_FORBIDDEN"),
        ("POST", "/v1/events", event.replace(b"contoso", b"fabrikam"), contoso, 403,
         "VT_FORBIDDEN"),
        ("GET", "/", None, admin, 404, "VT_NOT_FOUND"),
        ("GET", "/v1/windows/", None, admin, 404, "VT_NOT_FOUND"),
        ("GET", "/v1/../v1/windows", None, admin, 404, "VT_NOT_FOUND"),
        ("DELETE", "/v1/windows", None, admin, 405, "VT_UNSUPPORTED"),
        ("PUT", "/v1/catalog", b"{}", admin, 405, "VT_UNSUPPORTED"),
        ("GET", "/v1/close", None, admin, 405, "VT_UNSUPPORTED"),
        ("GET", "/v1/windows?tenent=contoso", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?limit=3", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?tenant=contoso&tenant=contoso", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?tenant=", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?tenant=" + 1025 * "t", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?tenant=%ff", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/windows?" + "&".join(f"a{n}=1" for n in range(40)), None, admin, 400,
         "VT_INVALID"),
        ("GET", "/v1/windows?tenant=nobody", None, admin, 404, "VT_NOT_FOUND"),
        ("GET", "/v1/lines?tenant=con%00toso", None, admin, 404, "VT_NOT_FOUND"),
        ("GET", "/v1/windows?meter=nothing", None, admin, 404, "VT_NOT_FOUND"),
        ("GET", "/v1/windows?start=yesterday", None, admin, 400, "VT_BAD_TIME"),
        ("GET", "/v1/windows?start=2023-11-16T18:20:00+01:00", None, admin, 400, "VT_BAD_TIME"),
        ("GET", "/v1/lines?at=2023-13-01T00:00:00Z", None, admin, 400, "VT_BAD_TIME"),
        ("GET", "/v1/windows?start=2024-01-01T00:00:00Z&end=2023-01-01T00:00:00Z", None, admin, 400,
         "VT_INVALID"),
        ("GET", "/v1/summary?by=meter", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/feed?cursor=x", None, admin, 400, "VT_BAD_CURSOR"),
        ("GET", "/v1/feed?cursor=" + 80 * "0", None, admin, 400, "VT_BAD_CURSOR"),
        ("GET", "/v1/feed?limit=0", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/feed?limit=-1", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/feed?limit=100001", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/feed?limit=18446744073709551616", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/exceptions?reason=boredom", None, admin, 400, "VT_INVALID"),
        ("GET", "/v1/exceptions?after=1e3", None, admin, 400, "VT_INVALID"),
        ("POST", "/v1/close", b"", admin, 400, "VT_INVALID"),
        ("POST", "/v1/close?before=now", b"", admin, 400, "VT_BAD_TIME"),
        ("POST", "/v1/close?before=2023-01-01T00:00:00Z&dry_run=maybe", b"", admin, 400,
         "VT_INVALID"),
        ("POST", "/v1/close?before=2023-01-01T00:00:00Z&tenant=nobody", b"", admin, 404,
         "VT_NOT_FOUND"),
        ("POST", "/v1/close?before=2023-01-01T00:00:00Z", b"body", admin, 413, "VT_TOO_LARGE"),
        ("POST", "/v1/events", big, admin, 413, "VT_TOO_LARGE"),
        ("POST", "/v1/catalog", b"", admin, 422, "VT_BAD_CATALOG"),
        ("POST", "/v1/catalog", b"{]", admin, 422, "VT_BAD_CATALOG"),
        ("POST", "/v1/catalog", json.dumps(broken).encode(), admin, 422, "VT_BAD_CATALOG",
         "$.plans[0].charges[0].price"),
        ("POST", "/v1/catalog/diff", json.dumps(broken).encode(), admin, 422, "VT_BAD_CATALOG",
         "$.plans[0].charges[0].price"),
        ("POST", "/v1/catalog", json.dumps(changed).encode(), admin, 409, "VT_NOT_EXTENSION",
         "$.meters[0]"),
        ("POST", "/v1/exceptions/retry", b"", admin, 400, "VT_INVALID"),
        ("POST", "/v1/exceptions/retry?reason=bad_time", b'{"positions":[1]}', admin, 400,
         "VT_INVALID"),
        ("POST", "/v1/exceptions/retry", b"[1]", admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/retry", b'{"positions":[1.5]}', admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/retry", b'{"positions":[-1]}', admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/retry", b'{"positions":["1"]}', admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/retry", b'{"positions":[1]', admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/retry", b'{"positions":[1],"more":2}', admin, 400, "VT_BAD_JSON"),
        ("POST", "/v1/exceptions/discard", b'{"positions":[[1]]}', admin, 400, "VT_BAD_JSON"),
    )


def check_hostile(client, tokens, catalog):
    before = client.get("/v1/summary").body
    for method, path, body, token, status, code, *place in hostile(tokens, catalog):
        headers = {}
        if isinstance(body, dict):
            body, headers = None, body
        answer = client.ask(method, path, body, token, headers)
        problem = answer.json() if answer.body else {}
        what = f"{method} {path[:80]} {'' if body is None else body[:40]}"
        CHECKS.equal(what, (answer.status, problem.get("code"), problem.get("status")),
                     (status, code, status))
        CHECKS.equal(what + ": type", answer.headers["Content-Type"], "application/problem+json")
        if place:
            CHECKS.true(what + ": names the place", place[0] in problem.get("detail", ""), problem)
        if token and token in answer.body.decode():
            CHECKS.equal(what, "the token is in the answer", "it is not")
    CHECKS.equal("nothing of it was kept", client.get("/v1/summary").body, before)


def check_tokens(client, tokens):
    """What each scope may do."""
    read, write, contoso = tokens
    whole = client.get("/v1/lines?tenant=contoso").body
    CHECKS.equal("bound to a tenant", client.ask("GET", "/v1/lines", token=contoso).body, whole)
    CHECKS.equal("read", client.ask("GET", "/v1/lines?tenant=contoso", token=read).body, whole)
    event = odd_events()[0].replace(b"odd-1", b"scope-1")
    CHECKS.equal("ingest", client.ask("POST", "/v1/events", event, write).status, 200)
    CHECKS.equal("ingest, bound",
                 client.ask("POST", "/v1/events", event, contoso).json()["duplicates"], 1)


def main():
    catalog = _http.catalog()
    lines = _http.events("--retries", "3", "--shuffle", "30")[::4] + odd_events()
    lines += lines[:50] + odd_events()[:2]
    small = without_fabrikam(catalog)
    with _daemon.Daemon(small) as daemon:
        daemon.start()
        client = _http.Client(daemon.http, daemon.token().decode())
        for path in ("/livez", "/readyz"):
            CHECKS.equal(path, client.ask("GET", path, token=None).status, 200)
        sums = ingest(client, lines)
        path = daemon.dir + "/events.jsonl"
        with open(path, "wb") as stream:
            stream.writelines(lines)
        want = _http.expected(small, path)
        counts = want["summary"][0]
        for key in ("received", "accepted", "duplicates", "conflicts", "exceptions"):
            CHECKS.equal(f"verdicts: {key}", sums[key], counts[key])
        compare(client, want, "small catalog")
        compare(client, _http.expected(small, path, AT), "at", at=True)
        check_metrics(client, counts["received"])

        said = client.post("/v1/catalog/diff", json.dumps(catalog).encode()).json()
        CHECKS.equal("diff", (said["extension"], said["equal"], said["added"]["tenants"],
                              said["added"]["contracts"]), (True, False, ["fabrikam"],
                                                            ["fabrikam-2023@1"]))
        said = client.post("/v1/catalog", json.dumps(catalog).encode()).json()
        CHECKS.equal("apply", (said["applied"], said["added"]["tenants"]), (True, ["fabrikam"]))
        said = client.post("/v1/catalog", json.dumps(catalog).encode()).json()
        CHECKS.equal("apply again", said["applied"], False)
        CHECKS.equal("catalog", json.loads(client.get("/v1/catalog").body), catalog)
        open_ones = check_exceptions(client)
        want = _http.expected(catalog, path)
        compare(client, want, "after the retry")
        check_discard(client, open_ones)
        client.post("/v1/close?before=2024-01-01T00:00:00Z")
        check_feed(client)

        read = _http.add_token(daemon.data, 1, "read")
        write = _http.add_token(daemon.data, 2, "ingest")
        contoso = _http.add_token(daemon.data, 3, "ingest,read", "contoso")
        feed = client.get("/v1/feed?limit=100000").body
        daemon.kill()
        daemon.start()
        client = _http.Client(daemon.http, daemon.token().decode())
        compare(client, want, "after a kill")
        CHECKS.equal("the feed after a kill", client.get("/v1/feed?limit=100000").body, feed)
        check_close(client)
        with open(daemon.catalog, "w", encoding="utf-8") as stream:
            json.dump(catalog, stream)
        check_tool(daemon, client, daemon.catalog)
        check_hostile(client, (read, write, contoso), catalog)
        check_tokens(client, (read, write, contoso))
        daemon.stop()
    CHECKS.end()


if __name__ == "__main__":
    main()
