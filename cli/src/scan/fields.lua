-- Some fields of a hash, for each entry: its name, the first bytes, the length, and the companion.
-- KEYS: the hash. ARGV: the cursor, and about how many.
local scanned = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found = {}
for at = 1, #scanned[2], 2 do
  local name, bytes = scanned[2][at], scanned[2][at + 1]
  if string.sub(name, -2) ~= '\0r' then
    local companion = redis.call('HGET', KEYS[1], name .. '\0r')
    found[#found + 1] = { name, string.sub(bytes, 1, 128), #bytes, companion or '' }
  end
end
return { scanned[1], found }
