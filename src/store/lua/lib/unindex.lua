-- Finds tasks no more by the terms that `column` has of them (lib/terms.lua). The caller drops these.
function Q.unindex(column, ids)
  local terms_of, members = {}, {}
  Q.load(column, terms_of, ids)
  for id, terms in pairs(terms_of) do
    for term in string.gmatch(terms or '', '[^ ]+') do members[#members + 1] = term .. ' ' .. id end
  end
  Q.call_sliced('ZREM', Q.SEARCH, members)
end
