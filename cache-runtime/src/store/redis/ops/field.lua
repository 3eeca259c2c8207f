-- The script of a slot that is a field of a hash: an entry in a group.
--
-- On some servers, a field has no lifetime of its own, and on none can a part of it be written. Therefore a lease
-- carries its end after its token, a value carries its end in the place of the mark, and the mark (the refresh token
-- and its end) is in a companion field. Where the server lets fields expire, they also do that; elsewhere each new
-- lease samples a few fields, and removes the expired ones. Ends are times of the server.
--
-- Words in braces are places in the bytes of a slot: see `places` in scripts.rs.
--
-- KEYS: the hash. ARGV: a verb, the field, '1' if fields expire here, and the verb's arguments.

local hash, verb, field, expires = KEYS[1], ARGV[1], ARGV[2], ARGV[3] == '1'
local companion = field .. '\0r'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- This does not use `%d`, which is narrower where a `long` has 32 bits.
local function digits(millis) return string.format('%0{MARK_UNTIL.len}.0f', math.min(millis, {LATEST})) end
local function number(text) return tonumber(string.match(text, '^%d+$') or '0') end

-- Bytes with another front are of a later version, or not ours: their end is unknown.
local function is_lease(bytes) return string.sub(bytes, 1, 2) == 'L\{LEASE_FORMAT}' end
local function is_value(bytes) return #bytes >= {HEAD.len} and string.sub(bytes, 1, 2) == 'V\{VALUE_FORMAT}' end

local function is_over(bytes)
  if is_lease(bytes) then return #bytes < {LEASE_END.end} or number(string.sub(bytes, {LEASE_END})) <= now end
  return is_value(bytes) and number(string.sub(bytes, {MARK_UNTIL})) <= now
end

-- The content of the field.
local function held()
  local bytes = redis.call('HGET', hash, field)
  if not bytes or is_over(bytes) then return false end
  return bytes
end

-- The refresh token of the value, and its end.
local function mark()
  local bytes = redis.call('HGET', hash, companion)
  if bytes and #bytes == {MARK.len} then return bytes end
  return string.rep('\0', {MARK_TOKEN.len}) .. string.rep('0', {MARK_UNTIL.len})
end

-- The first bytes of a key that would hold the same, and its length.
local function as_key(bytes)
  if is_lease(bytes) then return string.sub(bytes, {FRONT}) .. string.sub(bytes, {LEASE_END.after}), #bytes - {LEASE_END.len} end
  if is_value(bytes) then
    return string.sub(bytes, {FRONT}) .. mark() .. string.sub(bytes, {COMPARED_REST}), #bytes
  end
  return string.sub(bytes, {COMPARED}), #bytes
end

local function expire(name, millis)
  if not expires then return end
  -- Servers refuse times beyond a distant bound.
  local done = redis.pcall('HPEXPIRE', hash, math.min(millis, 1000000000000), 'FIELDS', '1', name)
  if type(done) == 'table' and done.err then expires = false end
end

-- The hash lives as long as the longest-lived of its fields. A new hash has no end yet, which differs from living for
-- ever.
local function keep(millis, is_new)
  if millis == 0 then
    redis.call('PERSIST', hash)
    return
  end
  local left = redis.call('PTTL', hash)
  if is_new or (left >= 0 and left < millis) then redis.call('PEXPIRE', hash, millis) end
end

-- 0 is for ever. The writes of a script stay when a later command of it is refused: the right to remove comes first,
-- and without the others the field goes.
local function put(bytes, millis)
  redis.call('HDEL', hash, companion)
  local is_new = redis.call('EXISTS', hash) == 0
  redis.call('HSET', hash, field, bytes)
  if millis > 0 then expire(field, millis) end
  local is_kept, reason = pcall(keep, millis, is_new)
  if not is_kept then
    redis.call('HDEL', hash, field)
    error(reason)
  end
end

local function lease(bytes, millis)
  put(string.sub(bytes, {FRONT}) .. digits(now + millis) .. string.sub(bytes, {FRONT.after}), millis)
end

local function set_mark(token, millis)
  redis.call('HSET', hash, companion, token .. digits(now + millis))
  -- The companion expires a minute later: a late holder may fill if no other caller came meanwhile.
  expire(companion, millis + 60000)
end

-- A value that would expire within its lease lives on for as long.
local function outlive(bytes, millis)
  if number(string.sub(bytes, {MARK_UNTIL})) < now + millis then
    local front, rest = string.sub(bytes, 1, {MARK_UNTIL.start}), string.sub(bytes, {MARK_UNTIL.after})
    redis.call('HSET', hash, field, front .. digits(now + millis) .. rest)
    expire(field, millis)
  end
  keep(millis)
end

-- Returns true if the lease of this proof is valid: alone in the field, or in a value.
local function is_held(proof)
  if #proof == {MARK_TOKEN.len} then
    return string.sub(mark(), {COMPANION_TOKEN}) == proof and redis.call('HEXISTS', hash, field) == 1
  end
  if redis.call('HSTRLEN', hash, field) ~= #proof + {LEASE_END.len} then return false end
  return as_key(redis.call('HGET', hash, field)) == proof
end

-- Removes an expired field; returns true if it did. `room` is for the bytes that are read.
local function swept(name, room)
  local bytes = redis.call('HGET', hash, name)
  if not bytes then return false, room end
  if string.sub(name, -2) == '\0r' then
    if number(string.sub(bytes, {COMPANION_UNTIL})) > now then return false, room end
    redis.call('HDEL', hash, name)
    return true, room
  end
  room = room - #bytes
  if not is_over(bytes) then return false, room end
  redis.call('HDEL', hash, name, name .. '\0r')
  return true, room
end

-- Samples one field at random, and more only if it has expired: when a third of the fields has expired, about as many
-- go as come.
local function sweep()
  if expires then return end
  local names = redis.pcall('HRANDFIELD', hash, '1')
  if names.err or not names[1] then return end
  local is_swept, room = swept(names[1], 262144)
  if not is_swept then return end
  for _, name in ipairs(redis.call('HRANDFIELD', hash, '8')) do
    if room > 0 then is_swept, room = swept(name, room) end
  end
end

if verb == 'peek' then
  local bytes = held()
  return bytes and string.sub((as_key(bytes)), {HEAD})
end

-- Arguments: the lease, its time, and the precondition: 'empty'; 'seen', with the first bytes and the length; 'any'.
-- Returns 1, or 0 if the content differs from what was seen, or the content.
if verb == 'take' then
  local bytes, over = held(), ARGV[6]
  if bytes and over ~= 'any' then
    local head, length = as_key(bytes)
    if head ~= ARGV[4] then
      if over == 'empty' then return { bytes, mark() } end
      if head ~= ARGV[7] or length ~= tonumber(ARGV[8]) then return 0 end
    end
  end
  lease(ARGV[4], tonumber(ARGV[5]))
  sweep()
  return 1
end

-- Arguments: the token, its time, the first bytes of the value, and '1' to take it from others. Returns 0, or the end
-- of another lease or pause, or -1.
if verb == 'mark' then
  local bytes = held()
  if not bytes or #bytes < {HEAD.len} or string.sub(bytes, {FRONT}) ~= ARGV[6] then return -1 end
  local marked = mark()
  local taken = number(string.sub(marked, {COMPANION_UNTIL}))
  if ARGV[7] == '0' and taken > now and string.sub(marked, {COMPANION_TOKEN}) ~= ARGV[4] then return taken end
  local millis = tonumber(ARGV[5])
  -- The order matters: if the first is refused, no mark stays.
  outlive(bytes, millis)
  set_mark(ARGV[4], millis)
  return 0
end

-- Looks at some of the fields. Arguments: the cursor, and about how many. Returns the next cursor, the number of bytes
-- that were copied, and the names of entries: with '1', only of those that hold a value.
if verb == 'scan' then
  local names, copied, skip = {}, 0, expires and 1 or 2
  -- Servers where fields expire can leave the values out.
  local scan = { 'HSCAN', hash, ARGV[4], 'COUNT', ARGV[5] }
  if expires then scan[6] = 'NOVALUES' end
  local scanned = redis.call(unpack(scan))
  for at = 1, #scanned[2], skip do
    local name = scanned[2][at]
    if string.sub(name, -2) ~= '\0r' then
      local is_listed = ARGV[6] ~= '1'
      -- A lease is shorter than this.
      if not is_listed then
        local length = expires and redis.call('HSTRLEN', hash, name) or #scanned[2][at + 1]
        is_listed = length >= {HEADER.len}
      end
      if is_listed then names[#names + 1] = name end
    end
    if not expires then copied = copied + #scanned[2][at + 1] end
  end
  return { scanned[1], copied, names }
end

-- The arguments of all other verbs begin with the proof of a lease.
if not is_held(ARGV[4]) then return 0 end
local is_mark = #ARGV[4] == {MARK_TOKEN.len}

-- Arguments: the value, and its time.
if verb == 'fill' then
  put(ARGV[5], tonumber(ARGV[6]))
  return 1
end

-- Argument: its time.
if verb == 'renew' then
  local millis = tonumber(ARGV[5])
  if is_mark then
    set_mark(ARGV[4], millis)
    outlive(redis.call('HGET', hash, field), millis)
  else
    lease(ARGV[4], millis)
  end
  return 1
end

-- Argument: 'remove', or the pause during which the value cannot be marked again.
if verb == 'release' then
  if is_mark and ARGV[5] ~= 'remove' then
    set_mark(string.rep('\0', {MARK_TOKEN.len}), tonumber(ARGV[5]))
  else
    redis.call('HDEL', hash, field, companion)
  end
  return 1
end
return redis.error_reply('ERR unknown verb')
