"""What all runners share through Redis: sessions of each site, and the slots of each rate.

    mailweir:limits:epoch          names this memory; gone after FLUSHALL, and then nothing is granted
    mailweir:limits:alive:RUNNER   a runner that renews it each second; its sessions count as long
    mailweir:limits:site:SITE      a hash: runner to "has:wants" sessions
    mailweir:limits:rate:KEY       the time of a rate's next free slot, in microseconds of Redis's clock

Promises: each call is one script, so what it grants it grants to one runner only. A call under an
epoch that is no longer there grants nothing and says so (`Lost`): after a FLUSHALL nobody knows
what is open, until every runner has told (engine/holdings.py). One round trip serves all sites.
Failure: a Redis that is away or slow raises RedisError within a second.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import redis as redis_py
import redis.asyncio as redis_async
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from queueapp import conf, events
from queueapp.engine.limits import AHEAD

PREFIX = "mailweir:limits:"
EPOCH = PREFIX + "epoch"
# Seconds after which a runner that doesn't renew counts as dead.
TTL = 6.0
_WITHIN = 1.0

# have and want are those of the asker; total is what it may have from now on. Where another one that
# has less than its part wants more, nobody gets or keeps more than an equal part.
_SHARE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local p, me, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
redis.call('SET', p .. 'alive:' .. me, 1, 'PX', ttl)
local alive, out = {}, {}
for i = 5, #ARGV, 4 do
    local have, want, limit = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local key = p .. 'site:' .. ARGV[i]
    local all, others, n, theirs = redis.call('HGETALL', key), 0, 1, {}
    for j = 1, #all, 2 do
        local who = all[j]
        if who ~= me then
            if alive[who] == nil then alive[who] = redis.call('EXISTS', p .. 'alive:' .. who) == 1 end
            if alive[who] then
                local h, w = string.match(all[j + 1], '(%d+):(%d+)')
                n, others = n + 1, others + tonumber(h)
                theirs[#theirs + 1] = {tonumber(h), tonumber(w)}
            else
                redis.call('HDEL', key, who)
            end
        end
    end
    local total = math.max(0, math.min(want, limit - others))
    local part = math.ceil(limit / n)
    for _, each in ipairs(theirs) do
        if each[1] < math.min(each[2], part) then total = math.min(total, part) end
    end
    if have == 0 and want == 0 then
        redis.call('HDEL', key, me)
    else
        redis.call('HSET', key, me, math.max(have, total) .. ':' .. want)
        redis.call('PEXPIRE', key, 3600000)
    end
    out[#out + 1] = total
end
return out
"""

# Tells what runners have that share through the database. ARGV: new epoch, or '' where none may be
# made; then runner, number of sites, and site and has of each.
_TELL = """
local epoch = redis.call('GET', KEYS[1])
if not epoch then
    if ARGV[1] == '' then return false end
    local t = redis.call('TIME')
    epoch = ARGV[1] .. ':' .. string.format('%.0f', t[1] * 1000000 + t[2])
    redis.call('SET', KEYS[1], epoch)
end
local p, ttl, i = ARGV[2], tonumber(ARGV[3]), 4
while i <= #ARGV do
    local who = ARGV[i]
    redis.call('SET', p .. 'alive:' .. who, 1, 'PX', ttl)
    for j = 1, tonumber(ARGV[i + 1]) do
        local key = p .. 'site:' .. ARGV[i + 2 * j]
        local has = ARGV[i + 2 * j + 1]
        redis.call('HSET', key, who, has .. ':' .. has)
        redis.call('PEXPIRE', key, 3600000)
    end
    i = i + 2 + 2 * tonumber(ARGV[i + 1])
end
return epoch
"""

# For each rate (key, interval, wanted): how many slots, and in how many microseconds the first one is;
# where there is none yet, in how many the next may be taken. A rate that is not known may have been
# forgotten with an older epoch: in the first seconds of an epoch it counts as just used.
_TAKE = """
local epoch = redis.call('GET', KEYS[1])
if epoch ~= ARGV[1] then return false end
local p, ahead = ARGV[2], tonumber(ARGV[3])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local began = tonumber(string.match(epoch, ':(%d+)$')) or now
local out = {}
for i = 4, #ARGV, 3 do
    local key, interval, wanted = p .. 'rate:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local due = tonumber(redis.call('GET', key) or (began + math.min(interval, 2000000)))
    if due > now + ahead + interval + 1000000 then due = now + interval end
    if due < now then due = now end
    local n = 0
    if due <= now + ahead then n = math.min(wanted, math.floor((now + ahead - due) / interval) + 1) end
    out[#out + 1] = n
    if n > 0 then
        out[#out + 1] = string.format('%.0f', due - now)
        due = due + n * interval
        redis.call('SET', key, string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 60000)
    else
        out[#out + 1] = string.format('%.0f', due - now)
    end
    out[#out + 1] = string.format('%.0f', math.max(0, due - now - ahead))
end
return out
"""

Wants = Mapping[int, tuple[int, int, int]]
"""Site to (sessions that there are, that are wanted, limit of all runners)."""
Holds = Mapping[int, Mapping[int, int]]
"""Runner to site to sessions."""


class Lost(redis_py.RedisError):
    """Redis has forgotten what is shared, or never knew."""


class Tokens:
    """For one event loop."""

    def __init__(self, runner_id: int) -> None:
        self.runner_id = runner_id
        self.epoch = ""
        self._redis: redis_async.Redis = redis_async.Redis.from_url(
            conf.current().redis,
            socket_timeout=_WITHIN,
            socket_connect_timeout=_WITHIN,
            retry=Retry(NoBackoff(), 0),
        )
        self._share = self._redis.register_script(_SHARE)
        self._take = self._redis.register_script(_TAKE)
        self._tell = self._redis.register_script(_TELL)

    async def share(self, wants: Wants) -> dict[int, int]:
        """Renew this runner's life, and how many sessions it may have of each site. Raises RedisError."""
        args: list[Any] = [self.epoch, PREFIX, self.runner_id, int(TTL * 1000)]
        for site_id, (have, want, limit) in wants.items():
            args += [site_id, have, want, limit]
        found = await cast(Any, self._share(keys=[EPOCH], args=args))
        if found is None:
            raise Lost("the sessions that are open are not known")
        return dict(zip(wants, map(int, found), strict=True))

    async def take(self, wants: Sequence[tuple[str, float, int]]) -> list[tuple[int, float, float]]:
        """Slots of rates: for each (key, seconds between slots, wanted) how many, in how many seconds
        the first one comes, and in how many more may be had. Raises RedisError."""
        args: list[Any] = [self.epoch, PREFIX, int(AHEAD * 1e6)]
        for key, interval, wanted in wants:
            args += [key, max(1, int(interval * 1e6)), wanted]
        found = await cast(Any, self._take(keys=[EPOCH], args=args))
        if found is None:
            raise Lost("the rates that are used up are not known")
        flat = [int(each) for each in found]
        return [(flat[i], flat[i + 1] / 1e6, flat[i + 2] / 1e6) for i in range(0, len(flat), 3)]

    async def tell(self, holds: Holds) -> None:
        """Speak for runners that can't reach Redis. Raises RedisError."""
        if await cast(Any, self._tell(keys=[EPOCH], args=["", *_told(holds)])) is None:
            raise Lost("the sessions that are open are not known")

    async def ping(self) -> None:
        """Raises RedisError."""
        await cast(Any, self._redis.ping())

    async def close(self) -> None:
        """This runner has no session any more. Raises RedisError."""
        await self._redis.delete(f"{PREFIX}alive:{self.runner_id}")
        await self._redis.aclose()


def begin(holds: Holds, *, may_start: bool) -> str:
    """Bring what these runners hold into Redis, from wherever a transaction runs; returns the epoch.

    `may_start`: everything that is open is in `holds`, so an empty Redis can begin anew. Raises RedisError.
    """
    new = uuid.uuid4().hex[:12] if may_start else ""
    client = events.redis()
    epoch = cast(Any, client.register_script(_TELL)(keys=[EPOCH], args=[new, *_told(holds)]))
    if epoch is None:
        raise Lost("the sessions that are open are not known")
    return bytes(epoch).decode()


def forget(runner_id: int) -> None:
    """A runner is gone: its sessions are, too. Never raises."""
    try:
        events.redis().delete(f"{PREFIX}alive:{runner_id}")
    except redis_py.RedisError:
        # Then it runs out by itself.
        pass


def in_use(site_ids: Sequence[int]) -> dict[int, int]:
    """Sessions of each site that live runners have, for whoever looks. Raises RedisError."""
    if not site_ids:
        return {}
    client = events.redis()
    asking = client.pipeline(transaction=False)
    for site_id in site_ids:
        asking.hgetall(f"{PREFIX}site:{site_id}")
    rows = dict(zip(site_ids, cast("list[dict[bytes, bytes]]", asking.execute()), strict=True))
    runners = sorted({who for held in rows.values() for who in held})
    for who in runners:
        asking.exists(f"{PREFIX}alive:{who.decode()}")
    alive = {who for who, is_alive in zip(runners, asking.execute(), strict=True) if is_alive}
    return {
        pk: sum(int(held[who].split(b":")[0]) for who in held if who in alive) for pk, held in rows.items()
    }


def _told(holds: Holds) -> list[Any]:
    args: list[Any] = [PREFIX, int(TTL * 1000)]
    for runner_id, sites in holds.items():
        args += [runner_id, len(sites)]
        for site_id, has in sites.items():
            args += [site_id, has]
    return args
