-- Whether this release may change the queue: another one may keep it in another layout (docs/decisions/0024).
-- Reads only. REFUSAL is a sentence that says what to do; nil = this release may.
Q.KEPT_BY = Q.control[5]
-- A queue of protocol 2 is one of 3 none of whose headers say that their tasks are followed: `followed` of it says so.
if Q.KEPT_BY ~= Q.PROTOCOL and Q.KEPT_BY ~= '2' then
  local queue = string.match(Q.QUEUE, '{(.*)}')
  local numbers = '(protocol ' .. (Q.KEPT_BY or 1) .. ', this is ' .. Q.PROTOCOL .. ')'
  if not Q.KEPT_BY then
    -- Nobody has changed it yet, or a release before the number: that one kept its clock in `control`.
    if redis.pcall('HEXISTS', Q.CONTROL, 'wall') == 1 then
      Q.REFUSAL = 'The queue "' .. queue .. '" is kept by an earlier release of popfleet ' .. numbers
        .. ', whose tasks this one cannot take over: let that release finish them, then delete the keys pf:{' .. queue
        .. '}:* or give this one another database of Redis.'
    end
  elseif (tonumber(Q.KEPT_BY) or math.huge) > tonumber(Q.PROTOCOL) then
    Q.REFUSAL = 'The queue "' .. queue .. '" is kept by a newer release of popfleet ' .. numbers .. ': upgrade this one.'
  else
    Q.REFUSAL = 'The queue "' .. queue .. '" is kept by an earlier release of popfleet ' .. numbers .. ', which this one cannot take over.'
  end
end
