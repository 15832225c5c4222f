-- Begins a connection. KEYS: state, topics, runs. ARGV: this run of the server, a fresh epoch, and what the node knew: epoch, run,
-- count. Returns the epoch and the count.
--
-- `count` numbers the messages of all topics. When the server was started anew, it goes on from the clock, so that no number is used
-- twice even if the server lost some; `runs` says with which count each run ended as far as the next one remembers. Who knew of
-- a later number knows that messages were lost: a new epoch begins.
local run, fresh, known_epoch, known_run, known_count = unpack(ARGV)
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local count = redis.call('HGET', KEYS[1], 'count')
local last_run = redis.call('HGET', KEYS[1], 'run')
local is_new = not epoch or not count or not last_run or not redis.call('ZSCORE', KEYS[2], '')
if not is_new and known_epoch == epoch then
  local last = count
  if known_run ~= last_run then last = redis.call('ZSCORE', KEYS[3], known_run) end
  is_new = not last or tonumber(known_count) > tonumber(last)
end
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local from = string.format('%.0f', math.max(tonumber(count or 0) + 1, now))
if last_run ~= run then
  if last_run and count then
    redis.call('ZADD', KEYS[3], count, last_run)
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -33)
  end
  redis.call('HSET', KEYS[1], 'run', run, 'count', from)
  count = from
end
if is_new then
  epoch = fresh
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'count', from)
  count = from
  -- What came before nobody knows.
  redis.call('ZADD', KEYS[2], 'NX', count, '')
end
return {epoch, count}
