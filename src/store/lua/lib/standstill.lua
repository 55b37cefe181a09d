-- How long, in ms, nobody has swept this queue, all such times together: the fleet or Redis was away, or the clock has jumped. What
-- must not end early although the clock says so is measured without them.
function Q.stood_still() return tonumber(redis.call('HGET', Q.QUEUE, 'stood_still')) or 0 end
