-- Tasks that have all of some terms (lib/terms.lua), newest first. It stands alone, without the shared library, because it changes
-- nothing.
-- ARGV: how many tasks of the index to look at at most, the id behind which it begins ('' = with the newest), terms
-- Reply: id of the last one that was looked at ('' = there are no more), ids

local count, behind, terms = args.number(), args.text(), args.list()
-- Those of the term that fewest tasks have are looked at.
local least, fewest = terms[1], math.huge
if #terms > 1 then
  for _, term in ipairs(terms) do
    local number = redis.call('ZLEXCOUNT', Q.SEARCH, '[' .. term .. ' ', '(' .. term .. '!')
    if number < fewest then least, fewest = term, number end
  end
end
local from = behind == '' and '(' .. least .. '!' or '(' .. least .. ' ' .. behind
local members = redis.call('ZREVRANGEBYLEX', Q.SEARCH, from, '[' .. least .. ' ', 'LIMIT', 0, count)

local function has_others(id)
  for _, term in ipairs(terms) do
    if term ~= least and not redis.call('ZSCORE', Q.SEARCH, term .. ' ' .. id) then return false end
  end
  return true
end

local ids, last = {}, ''
for _, member in ipairs(members) do
  last = string.sub(member, #least + 2)
  if has_others(last) then ids[#ids + 1] = last end
end
return { #members < count and '' or last, ids }
