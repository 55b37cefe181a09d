-- Workers by the time their lease runs out, what each says of itself, and the tasks that it holds.
Q.WORKERS = Q.BASE .. ':workers'
Q.ANNOUNCED = Q.BASE .. ':announced'

function Q.running_key(worker) return Q.BASE .. ':running:' .. worker end

function Q.renew_lease(worker, lease_ms)
  redis.call('ZADD', Q.WORKERS, Q.NOW + lease_ms, worker)
end
