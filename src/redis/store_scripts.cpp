#include "redis/store_scripts.hpp"

#include <string>

namespace levee::redis::detail {
namespace {

// Numbers are doubles in Lua: times stay below 2^53 and are exact. Tokens and versions are 64 bits: tokens
// are compared as strings, versions by halves. What does not look like ours counts as absent and is written
// over.
//
// A lease that would end more than a day from now was not given by us, or the clock was set: it does not
// hold.
constexpr const char* prelude = R"lua(
local k = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local ever = 9007199254740991
local none = string.rep('\0', 16)
local head = redis.pcall('GETRANGE', k, 0, 95)
local token, deadline, fresh, stale = '', 0, 0, 0
local ours = type(head) == 'string' and #head >= 24 and string.sub(head, 1, 5) == 'LEVE\1'
if ours then
  deadline = struct.unpack('<I8', head, 17)
  if deadline > now and deadline <= now + 86400000000 then
    token = string.sub(head, 9, 16)
  else
    deadline = 0
  end
  if #head == 96 and string.byte(head, 6) == 1 then
    local fresh_again, stale_again
    fresh, stale, fresh_again, stale_again = struct.unpack('<I8I8I8I8', head, 25)
    if fresh ~= fresh_again or stale ~= stale_again then
      fresh, stale = 0, 0
    end
  end
end
local held = stale > now
local function live_until(at)
  if at >= ever then
    redis.call('PERSIST', k)
  else
    redis.call('PEXPIREAT', k, math.ceil(at / 1000))
  end
end
local function at(left)
  left = tonumber(left)
  if left < 0 then
    return ever
  end
  return now + left
end
local function times(f, s)
  local both = struct.pack('<I8I8', f, s)
  return both .. both
end
local function set(f, s, tail)
  f, s = at(f), at(s)
  if s <= now then
    redis.call('DEL', k)
  elseif s >= ever then
    redis.call('SET', k, 'LEVE\1\1\0\0' .. none .. times(f, s) .. tail)
  else
    redis.call('SET', k, 'LEVE\1\1\0\0' .. none .. times(f, s) .. tail, 'PX', math.ceil((s - now) / 1000))
  end
end
)lua";

// The common case before anything else, with the answer of a GET: a closure that is not made costs nothing.
constexpr const char* lease_hit = R"lua(
if ARGV[3] == '0' then
  local v = redis.pcall('GET', KEYS[1])
  if type(v) == 'string' and #v >= 96 and string.sub(v, 1, 6) == 'LEVE\1\1' then
    local t = redis.call('TIME')
    if struct.unpack('<I8', v, 25) > t[1] * 1000000 + t[2] and string.sub(v, 25, 40) == string.sub(v, 41, 56) then
      return v
    end
  end
end
)lua";

script on_entry(const std::string& body, bool is_idempotent, const char* before = "") {
    script made(before + std::string(prelude) + body);
    made.idempotent(is_idempotent);
    return made;
}

constexpr const char* lease_body = R"lua(
if fresh > now and ARGV[3] ~= '1' then
  return {0, now, 0, redis.call('GET', k)}
end
if token ~= '' and token ~= ARGV[1] then
  return {2, now, deadline - now, held and redis.call('GET', k)}
end
local ends = now + ARGV[2]
local block = ARGV[1] .. struct.pack('<I8', ends)
if held then
  redis.call('SETRANGE', k, 8, block)
  live_until(math.max(ends, stale))
  return {1, now, ARGV[2] + 0, redis.call('GET', k)}
end
redis.call('SET', k, 'LEVE\1\0\0\0' .. block, 'PX', math.ceil(ARGV[2] / 1000))
return {1, now, ARGV[2] + 0, false}
)lua";

constexpr const char* fill_body = R"lua(
if token ~= ARGV[1] then
  return {0, now}
end
set(ARGV[2], ARGV[3], ARGV[4])
return {1, now}
)lua";

constexpr const char* extend_body = R"lua(
if token ~= ARGV[1] then
  return {0, now}
end
local ends = now + ARGV[2]
redis.call('SETRANGE', k, 16, struct.pack('<I8', ends))
live_until(math.max(ends, stale))
return {1, now}
)lua";

constexpr const char* release_body = R"lua(
if token ~= ARGV[1] then
  return {0, now}
end
if held then
  redis.call('SETRANGE', k, 8, none)
  live_until(stale)
else
  redis.call('DEL', k)
end
return {1, now}
)lua";

constexpr const char* put_body = R"lua(
set(ARGV[1], ARGV[2], ARGV[3])
return {1, now}
)lua";

// The version lies at 72 in an entry, at 16 in a tail.
constexpr const char* put_if_newer_body = R"lua(
if held then
  local low, high = struct.unpack('<I4I4', head, 73)
  local new_low, new_high = struct.unpack('<I4I4', ARGV[3], 17)
  if new_high < high or (new_high == high and new_low <= low) then
    return {0, now}
  end
end
set(ARGV[1], ARGV[2], ARGV[3])
return {1, now}
)lua";

constexpr const char* begin_write_body = R"lua(
redis.call('SET', k, 'LEVE\1\2\0\0' .. ARGV[1] .. struct.pack('<I8', now + ARGV[2]), 'PX',
           math.ceil(ARGV[2] / 1000))
return {1, now}
)lua";

constexpr const char* expire_body = R"lua(
if held then
  redis.call('SETRANGE', k, 8, none .. times(math.min(fresh, now), stale))
  live_until(stale)
elseif ours then
  redis.call('DEL', k)
end
return {1, now}
)lua";

constexpr const char* touch_body = R"lua(
if fresh <= now then
  return {0, now}
end
local f = math.max(fresh, at(ARGV[1]))
local s = math.max(stale, f, at(ARGV[2]))
redis.call('SETRANGE', k, 24, times(f, s))
live_until(math.max(deadline, s))
return {1, now}
)lua";

// Marks are a hash: the count in the field 'c', each name in a field that 'm' is put before. A count that is
// made begins at the server's time in microseconds, which is above all that was counted before, were it a
// million a second; should the clock have been set back, then above what the caller knows of.
constexpr const char* marks_prelude = R"lua(
local k = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function text(number)
  return string.format('%.0f', number)
end
if redis.call('HEXISTS', k, 'c') == 0 then
  local first = text(math.max(now, ARGV[1] + 1))
  redis.call('DEL', k)
  redis.call('HSET', k, 'c', first, 'm', first)
end
)lua";

constexpr const char* marks_body = R"lua(
return {1, now, redis.call('HGETALL', k)}
)lua";

// Too many names become one mark of all, which only makes entries invalid that were not; who has heard of the
// single ones goes on with those.
constexpr const char* mark_body = R"lua(
local count = redis.call('HINCRBY', k, 'c', 1)
redis.call('HSET', k, 'm' .. ARGV[2], text(count))
if redis.call('HLEN', k) > tonumber(ARGV[3]) then
  redis.call('DEL', k)
  redis.call('HSET', k, 'c', text(count), 'm', text(count))
end
return {count, now}
)lua";

script on_marks(const char* body) {
    script made(std::string(marks_prelude) + body);
    made.idempotent();  // a mark made twice is made later
    return made;
}

}  // namespace

// A fill or a put that was executed and is sent again could bring back what was invalidated in between, so
// those are not idempotent.
store_scripts::store_scripts()
    : lease(on_entry(lease_body, true, lease_hit)),
      fill(on_entry(fill_body, false)),
      extend(on_entry(extend_body, true)),
      release(on_entry(release_body, true)),
      put(on_entry(put_body, false)),
      put_if_newer(on_entry(put_if_newer_body, false)),
      begin_write(on_entry(begin_write_body, true)),
      expire(on_entry(expire_body, true)),
      touch(on_entry(touch_body, true)),
      marks(on_marks(marks_body)),
      mark(on_marks(mark_body)) {}

const char* const probe_script =
    "redis.call('TIME') return struct.unpack('<I8', struct.pack('<I8', 9007199254740991)) == "
    "9007199254740991 "
    "and 'levee' or ''";

const store_scripts& scripts() {
    static const store_scripts all;
    return all;
}

}  // namespace levee::redis::detail
