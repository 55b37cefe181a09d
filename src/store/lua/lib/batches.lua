-- Batches, each in its home queue. BATCHES has what was asked for, as JSON, and never changes; BATCH_STATES how far it is, as JSON
-- (BatchProgress in store/batches.ts). Each member has a number, from 0. BATCH_BITS has which of them have ended, and which have succeeded:
-- `<batch> <kind> <chunk>` to a text with a bit for each of CHUNK_MEMBERS. BATCH_ENDS has `<batch> <number>` to the number of the latest end, or retry,
-- of a member that is not its first end. BATCH_RESERVED has `<batch> <from>` to the queues of numbers that are given, but not confirmed, as
-- JSON `[[queue, count], …]`; BATCH_DEADLINES by when they are looked for.

-- Of bytes: so that changing a bit writes little.
Q.CHUNK_BYTES = 256
Q.CHUNK_MEMBERS = 8 * Q.CHUNK_BYTES

-- How far a batch is; nil when there is none, or another program has spoilt it.
function Q.read_batch(id)
  local is_read, batch = pcall(cjson.decode, redis.call('HGET', Q.BATCH_STATES, id) or '')
  return is_read and type(batch) == 'table' and batch.next and batch or nil
end

function Q.write_batch(id, batch) redis.call('HSET', Q.BATCH_STATES, id, cjson.encode(batch)) end

-- Gives the next numbers, and has them looked for after a while unless they are confirmed.
function Q.reserve(id, batch, count, queues, within_ms)
  local from = batch.next
  batch.next, batch.pending = from + count, batch.pending + count
  redis.call('HSET', Q.BATCH_RESERVED, id .. ' ' .. from, queues)
  redis.call('ZADD', Q.BATCH_DEADLINES, Q.NOW + within_ms, id .. ' ' .. from)
  Q.wake_at(Q.NOW + within_ms)
end
