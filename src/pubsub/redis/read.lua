-- Reads a page of a topic. KEYS: state, topics, stream. ARGV: topic, the epoch and the sequence behind which, how many, and whether
-- the oldest or the newest of them. Returns the epoch, the last sequence of the topic, whether the position is one that can
-- be, and the messages, oldest first.
local topic, known_epoch, after, limit, which = unpack(ARGV)
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '')
local floor = redis.call('ZSCORE', KEYS[2], '')
if not epoch or not count or not floor then return redis.error_reply('EPOCH is another one now') end
local last = redis.call('ZSCORE', KEYS[2], topic) or floor
local is_known = 0
local from = '0'
if known_epoch == epoch and tonumber(after) <= count then
  is_known = 1
  from = string.format('%.0f', tonumber(after) + 1)
end
local found
if tonumber(limit) == 0 then
  found = {}
elseif which == 'oldest' then
  found = redis.call('XRANGE', KEYS[3], from .. '-0', '+', 'COUNT', limit)
else
  local newest = redis.call('XREVRANGE', KEYS[3], '+', from .. '-0', 'COUNT', limit)
  found = {}
  for i = #newest, 1, -1 do found[#found + 1] = newest[i] end
end
return {epoch, last, is_known, found}
