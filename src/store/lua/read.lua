-- Tasks as they are at one moment. It stands alone, without the shared library, because it changes nothing.
-- ARGV: bytes of each content that are wanted (0 = all of it, and the result with it), then ids
-- Reply: for each task one value a column, in the order of COLUMN_NAMES; a task without a message is none

local bytes = tonumber(ARGV[1])
local reply, width, rows = {}, #COLUMN_NAMES, #ARGV - 1
for at, name in ipairs(COLUMN_NAMES) do
  if bytes == 0 or name ~= RESULT then
    local values = redis.call('HMGET', KEYS[1] .. ':' .. name, unpack(ARGV, 2))
    for row = 1, rows do
      local value = values[row]
      if bytes > 0 and name == CONTENT and value then value = string.sub(value, 1, bytes) end
      reply[(row - 1) * width + at] = value
    end
  else
    for row = 1, rows do reply[(row - 1) * width + at] = false end
  end
end
return reply
