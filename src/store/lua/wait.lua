-- Accepts tasks that wait until what they need has happened.
-- ARGV, for each: id, content, lane, JSON of its extras (lib/extras.lua), its needs (lib/needs.lua). Delays and start-by times count from
-- when the last need is met.
-- Reply: for each 'waiting', or 'known' when this call is a repeat of one whose reply was lost

local answers = {}

local function wait(id, content, lane, json, needs)
  local extras = cjson.decode(json)
  Q.load(Q.CONTENTS, Q.contents, { id })
  if Q.contents[id] then return 'known' end
  Q.contents[id] = content
  Q.keep_extras(id, extras)
  if extras.ttlMs or extras.expiresAt or extras.delayMs or extras.runAt then Q.put(Q.STARTS, id, json) end
  Q.need(id, needs)
  if extras.step then
    Q.put_step(id, extras.step)
    redis.call('ZADD', Q.UNCONFIRMED, Q.NOW + extras.confirmWithinMs, id)
    Q.wake_at(Q.NOW + extras.confirmWithinMs)
  end
  Q.accept({ id }, { id, content }, 'waiting')
  Q.put_header(id, Q.new_header('waiting', lane, Q.NOW_TEXT, extras.follower))
  return 'waiting'
end

while args.are_left() do
  answers[#answers + 1] = wait(args.text(), args.text(), args.text(), args.text(), args.text())
end
Q.commit()
return answers
