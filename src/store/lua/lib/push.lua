-- The lists of tasks that are ready, and the plan of those that are scheduled.

-- LATER has what is scheduled, UNSTARTED what has to be started in time.

-- Task ids stand at bytes 4 to 39 of a message, behind an array head and the head of a text of 36 bytes. Whether they are the id
-- of a task, its row says.
function Q.id_of(message)
  local first, second, third = string.byte(message, 1, 3)
  if not third or first < 0x83 or first > 0x85 or second ~= 0x78 or third ~= 36 then return nil end
  if string.byte(message, 40) ~= 1 then return nil end
  return string.sub(message, 4, 39)
end

-- What stands on a list for a task that has a row: `[id, 1, type]`. A content begins with an array head and the type; one that another
-- program has spoilt may be shorter.
function Q.reference_of(id, content)
  local head, length = string.byte(content, 2, 3)
  local stop = head == 0x78 and 3 + (length or 0) or 2 + (head or 0x60) - 0x60
  return '\131x$' .. id .. '\1' .. string.sub(content, 2, stop)
end

-- A first push is the common one: its entry is the id alone.
function Q.ledger_entry(id, claims)
  if claims == 0 then return id end
  return id .. ':' .. claims
end

-- ready and ledger always get the same push at the same end.
function Q.push(command, lane, id, claims)
  redis.call(command, Q.READY[lane], Q.reference_of(id, Q.contents[id]))
  redis.call(command, Q.LEDGER[lane], Q.ledger_entry(id, claims))
end

-- A task is scheduled and due then.
function Q.plan(id, due)
  redis.call('ZADD', Q.LATER, due, id)
  Q.put(Q.DUE, id, due)
  Q.wake_at(due)
end
