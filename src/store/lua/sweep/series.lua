-- Samples of the counts (store/series.ts reads them), the newest first: one every 10 s for an hour in SERIES, one a minute for a day in
-- SERIES_MINUTES. While nothing changes there is none: the counts are what the newest sample says.

local function sample(series, every_ms, kept, counts)
  local newest = redis.call('LINDEX', series, 0)
  local time, before = string.match(newest or '', '^(%d+) (.*)$')
  if before == counts or (time and Q.NOW - time < every_ms) then return end
  redis.call('LPUSH', series, Q.NOW_TEXT .. ' ' .. counts)
  redis.call('LTRIM', series, 0, kept - 1)
end

Q.duties[#Q.duties + 1] = function()
  local values = redis.call('HMGET', Q.COUNT, unpack(Q.COUNT_FIELDS))
  for at = 1, #Q.COUNT_FIELDS do values[at] = values[at] or '0' end
  local counts = table.concat(values, ' ')
  sample(Q.SERIES, 10000, 360, counts)
  sample(Q.SERIES_MINUTES, 60000, 1440, counts)
end
