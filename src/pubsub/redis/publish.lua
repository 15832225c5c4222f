-- Publishes a batch. KEYS: state, topics, the node's last number, and for each message its stream. ARGV: the prefix of channels and of
-- streams, epoch, messages that a stream keeps, milliseconds that it stays, topics; then for each message its number, topic and data.
-- Returns the count.
--
-- `topics` has the last number of each topic, and under the empty name that of the topic that was forgotten last: so it is known
-- whether a topic had messages that are not there any more. Each message has the number of the one before it in its topic.
local channels, streams, epoch, keep, stay, most = unpack(ARGV, 1, 6)
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '')
local floor = redis.call('ZSCORE', KEYS[2], '')
if redis.call('HGET', KEYS[1], 'epoch') ~= epoch or not count or not floor then
  return redis.error_reply('EPOCH is another one now')
end
local heard = tonumber(redis.call('GET', KEYS[3]) or '0') or 0
local begun, failure = count, nil
for i = 4, #KEYS do
  local number, topic, data = unpack(ARGV, 7 + (i - 4) * 3, 9 + (i - 4) * 3)
  if tonumber(number) > heard then
    local id = string.format('%.0f', count + 1)
    local before = redis.call('ZSCORE', KEYS[2], topic) or floor
    local add = {'XADD', KEYS[i], 'MAXLEN', '~', keep, id .. '-0', 'b', before, 'd', data}
    local added = redis.pcall(unpack(add))
    if type(added) == 'table' and added.err then
      local is_other = string.find(added.err, 'equal or smaller', 1, true) or string.find(added.err, 'WRONGTYPE', 1, true)
      if not is_other then
        -- No memory, a replica: the stream is as it should be.
        failure = added
        break
      end
      -- What is under this name is none of this epoch, or not a stream.
      redis.call('UNLINK', KEYS[i])
      redis.call(unpack(add))
    end
    heard = tonumber(number)
    count = count + 1
    redis.call('PEXPIRE', KEYS[i], stay)
    redis.call('ZADD', KEYS[2], id, topic)
    redis.call('PUBLISH', channels .. topic, epoch .. '-' .. id .. ' ' .. data)
  end
end
if failure and count == begun then return failure end
local over = math.min(redis.call('ZCARD', KEYS[2]) - 1 - tonumber(most), 1000)
if over > 0 then
  local gone = redis.call('ZRANGE', KEYS[2], 1, over, 'WITHSCORES')
  for i = 1, #gone, 2 do
    redis.call('ZREM', KEYS[2], gone[i])
    redis.call('UNLINK', streams .. gone[i])
  end
  redis.call('ZADD', KEYS[2], gone[#gone], '')
end
local last = string.format('%.0f', count)
redis.call('HSET', KEYS[1], 'count', last)
redis.call('SET', KEYS[3], string.format('%.0f', heard), 'PX', 86400000)
return failure or last
