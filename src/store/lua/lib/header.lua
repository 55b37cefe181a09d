-- The header of a task as text; record.ts reads it in TypeScript. Its words: state, claims, failures, crashes, lane, accepted (0 = the
-- time in its id), started (0 = never), worker ('-' = none), and once the task has ended when, and the bytes it keeps; then 'f' when
-- the task came with what follows it (lib/followed.lua).
Q.HEADER = '^(%l+) (%d+) (%d+) (%d+) (%l+) (%d+) (%d+) (%S+)%s?(%d*)%s?(%d*)%s?(f?)$'

-- The header of a task that was never claimed, as a table. `follower` is what it came with that follows it, if anything.
function Q.new_header(state, lane, accepted, follower)
  return {
    state = state, claims = 0, failures = 0, crashes = 0, lane = lane, accepted = accepted, started = '0', worker = '-',
    is_followed = follower ~= nil,
  }
end

-- The header as a table; nil when the text is none. A task without a header is ready for the first time, in the default lane.
function Q.read_header(text)
  if not text then return Q.new_header('ready', Q.DEFAULT_LANE, '0') end
  local state, claims, failures, crashes, lane, accepted, started, worker, finished, bytes, followed = string.match(text, Q.HEADER)
  -- Another program has spoilt it: nothing is done with its task but to show it, and to remove it.
  if not state then return nil end
  return {
    state = state, claims = tonumber(claims), failures = tonumber(failures), crashes = tonumber(crashes),
    -- One that another program has written, or a later release, is none here. (A table of them would be made anew in each call.)
    lane = (lane == 'high' or lane == 'low') and lane or Q.DEFAULT_LANE,
    accepted = accepted, started = started, worker = worker, finished = tonumber(finished), bytes = tonumber(bytes) or 0,
    is_followed = followed == 'f',
  }
end

-- `finished` and `bytes` stand there for tasks that have ended.
function Q.write_header(task)
  local text = string.format(
    '%s %d %d %d %s %s %s %s',
    task.state, task.claims, task.failures, task.crashes, task.lane, task.accepted, task.started, task.worker
  )
  if task.finished then text = text .. ' ' .. task.finished .. ' ' .. task.bytes end
  return task.is_followed and text .. ' f' or text
end

-- Whether the header of a task that has not ended says that something follows it.
function Q.says_followed(text) return string.sub(text, -2) == ' f' end

-- What `write_header` makes of a task that has ended now, from the header that it had before: taking that apart would be slow.
function Q.end_header(text, state, bytes)
  local is_followed = Q.says_followed(text)
  local words = string.match(is_followed and string.sub(text, 1, -3) or text, ' .*')
  return state .. words .. ' ' .. Q.NOW_TEXT .. ' ' .. bytes .. (is_followed and ' f' or '')
end

-- Whether a task may go from one state to another. Any other state, which a later release may know, leads nowhere.
function Q.may_move(from, to) return string.find(Q.TRANSITIONS, ' ' .. from .. '>' .. to .. ' ', 1, true) ~= nil end

-- The state alone.
function Q.state_of(text) return text and string.match(text, '^%l+') or 'ready' end
