-- What the needs of a task have brought. It changes nothing.
-- ARGV: id
-- Reply: for each need, flat: name, how its source ended ('' = it is unmet), CBOR of its result or error ('' = none)

local flat = {}
for _, need in ipairs(Q.needs_of(args.text())) do
  local last = #flat
  flat[last + 1], flat[last + 2], flat[last + 3] = need.name, need.word, need.payload
end
return flat
