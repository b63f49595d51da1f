-- A dissector for Wireshark and tshark 4.0 and later: shows cproto, as proto/PROTOCOL.md describes it, frame by frame.
--
-- To install it, copy this file to ~/.local/lib/wireshark/plugins. To use it once:
--
--   wireshark -X lua_script:cproto.lua capture.pcapng
--   tshark -X lua_script:cproto.lua -i lo -f 'tcp port 7780' -Y cproto
--
-- Conversations on TCP port 7780 (Preferences, Protocols, CPROTO) are taken for cproto, and on other ports those that are seen
-- from their SYN on. For the rest there is Decode As: tshark -d tcp.port==9000,cproto. TLS is left to others.
--
-- Filters: cproto.type == 3, cproto.error.code == 24, cproto.client_id == "web-1", cproto.seq, cproto.length,
-- cproto.durable_through, cproto.checksum.status == 0. cproto.session is the same in SYN, SYN-ACK and confirmation, so it follows
-- a session over its connections. A session's id is a secret (§12): whoever has such a capture can resume the session.

local cproto = Proto("cproto", "cproto message delivery")

-- ---------------------------------------------------------------------------------------------------------------------------
-- Names. A test compares the first four tables with the document.

-- §2.2
local FRAME_TYPES = {
  [0x01] = "DATA",
  [0x02] = "ACK",
  [0x03] = "ERROR",
  [0x04] = "KEEP-ALIVE",
  [0x05] = "DISCONNECT",
  [0x06] = "SYN",
  [0x07] = "SYN-ACK",
  [0x08] = "FRAGMENT",
  [0x09] = "HEADER",
}
local DATA, ACK, ERROR, KEEP_ALIVE, DISCONNECT, SYN, SYN_ACK, FRAGMENT, HEADER = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- §3.1; unique without their top bit, too (§11).
local PARAMETERS = {
  [0x8001] = "client_id",
  [0x8002] = "channel",
  [0x8003] = "kind",
  [0x8004] = "resume",
  [0x0005] = "refusals_heard",
  [0x0006] = "software",
  [0x0101] = "assigned_client_id",
  [0x0102] = "message_size_max",
  [0x0103] = "unfinished",
  [0x0105] = "file_size_max",
  [0x0106] = "replication",
  [0x8104] = "refusal",
  [0x8201] = "message_channel",
  [0x8202] = "file_name",
  [0x8203] = "file_size",
  [0x0204] = "file_mode",
  [0x0205] = "file_mtime",
  [0x8206] = "file_digest",
}

-- §8
local ERRORS = {
  [1] = "bad_checksum",
  [2] = "framing_lost",
  [3] = "frame_too_large",
  [4] = "malformed_frame",
  [5] = "unexpected_frame",
  [6] = "unsupported_version",
  [7] = "unknown_critical_parameter",
  [8] = "bad_parameter",
  [9] = "bad_client_id",
  [10] = "bad_channel",
  [11] = "unknown_session",
  [12] = "other_store",
  [13] = "store_behind",
  [14] = "stale_attempt",
  [15] = "superseded",
  [16] = "handshake_timeout",
  [17] = "bad_message_order",
  [18] = "message_too_large",
  [19] = "kind_not_accepted",
  [20] = "number_out_of_window",
  [21] = "peer_silent",
  [22] = "too_many_connections",
  [23] = "shutting_down",
  [24] = "disk_full",
  [25] = "disk_failed",
  [26] = "wrong_session",
  [27] = "too_many_refusals",
  [28] = "frame_lost",
  [29] = "too_many_clients",
  [30] = "too_many_channels",
  [31] = "kicked",
  [32] = "bad_file_name",
  [33] = "file_differs",
  [34] = "no_space_for_file",
  [35] = "inbox_full",
  [36] = "message_forgotten",
  [37] = "inbox_blocked",
  [38] = "overloaded",
  [39] = "tls_required",
  [40] = "identity_required",
  [41] = "wrong_identity",
  [42] = "identity_gone",
  [43] = "address_not_allowed",
  [44] = "files_not_allowed",
  [45] = "channel_not_allowed",
  [46] = "stream_away",
  [47] = "stream_full",
  [48] = "written_elsewhere",
  [49] = "files_not_taken",
  [50] = "not_durable_enough",
}
local UNKNOWN_CRITICAL_PARAMETER, BAD_PARAMETER = 7, 8

-- §6.4
local ERROR_CLASSES = {
  [0] = "retry_now",
  [1] = "retry_after",
  [2] = "never_message",
  [3] = "never_session",
  [4] = "go_away",
}
local RETRY_AFTER, NEVER_MESSAGE = 1, 2

-- §3.1: these never mean anything; they are sent to keep the rule for unknown types alive.
for nibble = 0, 7 do PARAMETERS[0x0a0a + 0x1010 * nibble] = "reserved type" end

local MODES = {[1] = "step-by-step", [2] = "burst"}                       -- §3.2
local DURABILITIES = {[1] = "synced to disk", [2] = "replicated"}         -- §3.3
local OUTCOMES = {[0] = "begun", [1] = "resumed", [2] = "restarted"}      -- §3.3
local KINDS = {[0] = "none", [1] = "text", [2] = "binary", [3] = "file"}  -- §4.4
local ASKS = {[0] = "ask", [1] = "answer"}                                -- §7.1
local ENDS = {[1] = "finish", [2] = "pause"}                              -- §7.2
-- §3.4: the number of a bad_parameter may be the offset of a fixed field of SYN.
local SYN_OFFSETS = {[2] = "operation_mode", [4] = "max_packet_size", [8] = "window_size"}

-- Wireshark's own values for a checksum's status.
local CHECKSUM_STATUS = {[0] = "Bad", [1] = "Good", [2] = "Unverified"}

local HEADER_SIZE = 11          -- §2.1
local CONTROL_SIZE_MAX = 4096   -- §2.3: the payload of all but DATA and FRAGMENT
local PACKET_SIZE_MAX = 1048576 -- §3.3: the largest max_packet_size
local CONFIRMATION_SIZE = 16    -- §3.5: an ACK to the server; one to the client has at least 36 bytes
local CLOSE_CONFIRMATION_SIZE = 24  -- §7.2: the same, of a close
local RANGES_MAX, REFUSALS_MAX = 32, 64  -- §6.1
local INFO_FRAMES_MAX = 8       -- of one segment, in the Info column

-- ---------------------------------------------------------------------------------------------------------------------------
-- Fields. One that says the same in several frames is one field, so that one filter finds them all.

local f = {
  length = ProtoField.uint32("cproto.length", "Length of the payload"),
  type = ProtoField.uint8("cproto.type", "Type", base.HEX, FRAME_TYPES),
  seq = ProtoField.uint16("cproto.seq", "Sequence"),
  checksum = ProtoField.uint32("cproto.checksum", "Checksum", base.HEX),
  checksum_status = ProtoField.uint8("cproto.checksum.status", "Checksum status", base.DEC, CHECKSUM_STATUS),
  payload = ProtoField.bytes("cproto.payload", "Payload"),
  data = ProtoField.bytes("cproto.data", "The user's bytes"),

  parameter = ProtoField.none("cproto.parameter", "Parameter"),
  parameter_type = ProtoField.uint16("cproto.parameter.type", "Type", base.HEX, PARAMETERS),
  parameter_critical = ProtoField.bool("cproto.parameter.critical", "Critical", 16, nil, 0x8000),
  parameter_length = ProtoField.uint16("cproto.parameter.length", "Length"),
  parameter_value = ProtoField.bytes("cproto.parameter.value", "Value"),
  client_id = ProtoField.string("cproto.client_id", "client_id"),
  channel = ProtoField.string("cproto.channel", "channel"),
  kind = ProtoField.uint8("cproto.kind", "kind", base.DEC, KINDS),
  resume_acknowledged = ProtoField.uint64("cproto.resume.acknowledged", "acknowledged"),
  resume_acknowledged_bytes = ProtoField.uint64("cproto.resume.acknowledged_bytes", "acknowledged_bytes"),
  resume_acknowledged_messages = ProtoField.uint64("cproto.resume.acknowledged_messages", "acknowledged_messages"),
  refusals_heard = ProtoField.uint64("cproto.refusals_heard", "refusals_heard"),
  software = ProtoField.string("cproto.software", "software"),
  assigned_client_id = ProtoField.string("cproto.assigned_client_id", "assigned_client_id"),
  message_size_max = ProtoField.uint64("cproto.message_size_max", "message_size_max"),
  unfinished_first = ProtoField.uint64("cproto.unfinished.first", "first"),
  unfinished_durable_bytes = ProtoField.uint64("cproto.unfinished.durable_bytes", "durable_bytes"),
  message_channel = ProtoField.string("cproto.message_channel", "message_channel"),
  file_size_max = ProtoField.uint64("cproto.file_size_max", "file_size_max"),
  replicas = ProtoField.uint8("cproto.replicas", "replicas"),
  replicas_sync = ProtoField.bool("cproto.replicas_sync", "replicas_sync"),
  file_name = ProtoField.string("cproto.file_name", "file_name"),
  file_size = ProtoField.uint64("cproto.file_size", "file_size"),
  file_mode = ProtoField.uint32("cproto.file_mode", "file_mode", base.OCT),
  file_mtime = ProtoField.int64("cproto.file_mtime", "file_mtime"),
  file_mtime_nanoseconds = ProtoField.uint32("cproto.file_mtime.nanoseconds", "nanoseconds"),
  file_digest = ProtoField.bytes("cproto.file_digest", "file_digest"),

  session = ProtoField.bytes("cproto.session", "session"),
  store = ProtoField.bytes("cproto.store", "store"),

  version_min = ProtoField.uint8("cproto.version_min", "version_min"),
  version_max = ProtoField.uint8("cproto.version_max", "version_max"),
  version = ProtoField.uint8("cproto.version", "version"),
  mode = ProtoField.uint8("cproto.operation_mode", "operation_mode", base.DEC, MODES),
  reserved = ProtoField.bytes("cproto.reserved", "reserved"),
  max_packet_size = ProtoField.uint32("cproto.max_packet_size", "max_packet_size"),
  window_size = ProtoField.uint32("cproto.window_size", "window_size"),
  attempt = ProtoField.uint64("cproto.attempt", "attempt"),
  durability = ProtoField.uint8("cproto.durability", "durability", base.DEC, DURABILITIES),
  outcome = ProtoField.uint8("cproto.outcome", "outcome", base.DEC, OUTCOMES),
  keep_alive_ms = ProtoField.uint32("cproto.keep_alive_ms", "keep_alive_ms"),
  durable_through = ProtoField.uint64("cproto.durable_through", "durable_through"),
  durable_bytes = ProtoField.uint64("cproto.durable_bytes", "durable_bytes"),
  durable_messages = ProtoField.uint64("cproto.durable_messages", "durable_messages"),
  received_through = ProtoField.uint64("cproto.received_through", "received_through"),
  limit_number = ProtoField.uint64("cproto.limit_number", "limit_number"),
  limit_bytes = ProtoField.uint64("cproto.limit_bytes", "limit_bytes"),

  ack_flags = ProtoField.uint16("cproto.ack.flags", "flags", base.HEX),
  ack_final = ProtoField.bool("cproto.ack.final", "final", 16, nil, 0x0001),
  ack_refusals = ProtoField.bool("cproto.ack.refusals", "refusals", 16, nil, 0x0002),
  ack_range_count = ProtoField.uint16("cproto.ack.range_count", "count of ranges"),
  ack_range = ProtoField.none("cproto.ack.range", "Range"),
  ack_range_first = ProtoField.uint64("cproto.ack.range.first", "first"),
  ack_range_last = ProtoField.uint64("cproto.ack.range.last", "last"),
  ack_refusal_count = ProtoField.uint16("cproto.ack.refusal_count", "count of refusals"),
  refusal = ProtoField.none("cproto.refusal", "Refusal"),
  refusal_code = ProtoField.uint16("cproto.refusal.code", "code", base.DEC, ERRORS),
  refusal_number = ProtoField.uint64("cproto.refusal.number", "number the message began with"),

  error_code = ProtoField.uint16("cproto.error.code", "code", base.DEC, ERRORS),
  error_class = ProtoField.uint8("cproto.error.class", "class", base.DEC, ERROR_CLASSES),
  retry_after_ms = ProtoField.uint32("cproto.retry_after_ms", "retry_after_ms"),
  error_number = ProtoField.uint64("cproto.error.number", "number"),
  error_sentence = ProtoField.string("cproto.error.sentence", "sentence"),

  keep_alive = ProtoField.uint8("cproto.keep_alive", "keep-alive", base.DEC, ASKS),
  disconnect_end = ProtoField.uint8("cproto.disconnect.end", "end", base.DEC, ENDS),
  disconnect_last = ProtoField.uint64("cproto.disconnect.last", "last"),
}
cproto.fields = f

local expert_info = {
  checksum = ProtoExpert.new("cproto.checksum.bad", "The frame is damaged: its checksum is wrong (§2.5)", expert.group.CHECKSUM,
                             expert.severity.ERROR),
  too_large = ProtoExpert.new("cproto.length.too_large", "The frame is above every limit for its type (§2.3)",
                              expert.group.PROTOCOL, expert.severity.ERROR),
  unknown_type = ProtoExpert.new("cproto.type.unknown", "A type that version 1 does not have (§2.2)", expert.group.PROTOCOL,
                                 expert.severity.WARN),
  unreadable = ProtoExpert.new("cproto.payload.unreadable", "The payload cannot be read: malformed_frame",
                               expert.group.MALFORMED, expert.severity.ERROR),
  not_captured = ProtoExpert.new("cproto.not_captured", "The frame was not captured as a whole", expert.group.UNDECODED,
                                 expert.severity.NOTE),
  unknown_parameter = ProtoExpert.new("cproto.parameter.unknown", "An unknown type: to be ignored (§3.1)",
                                      expert.group.UNDECODED, expert.severity.NOTE),
  unknown_critical = ProtoExpert.new("cproto.parameter.unknown_critical", "An unknown critical type: to be refused (§3.1)",
                                     expert.group.PROTOCOL, expert.severity.WARN),
  bad_parameter = ProtoExpert.new("cproto.parameter.bad", "The parameter's value is not allowed", expert.group.PROTOCOL,
                                  expert.severity.WARN),
  error = ProtoExpert.new("cproto.error", "An ERROR", expert.group.RESPONSE_CODE, expert.severity.WARN),
}
cproto.experts = expert_info

cproto.prefs.port = Pref.uint("TCP port", 7780, "Conversations on this port are taken for cproto; 0: on none")
cproto.prefs.check = Pref.bool("Verify the checksums", true, "CRC-32 over each frame; costs time in large captures")

-- What earlier packets said, found in the first pass over a capture. Conversations are known by their ends: in that pass there
-- may be no fields to be asked for the number of the stream.
local unclaimed_at = {}  -- by conversation: the packet with the first payload that nobody recognised

function cproto.init()
  unclaimed_at = {}
end

local function conversation(pinfo)
  local source, destination = tostring(pinfo.src) .. " " .. pinfo.src_port, tostring(pinfo.dst) .. " " .. pinfo.dst_port
  return source < destination and source .. " " .. destination or destination .. " " .. source
end

-- ---------------------------------------------------------------------------------------------------------------------------
-- The checksum (§2.4): CRC-32 as in zlib.

local bits = bit32 or bit
local band, bxor, rshift = bits.band, bits.bxor, bits.rshift

local crc_table = {}
for i = 0, 255 do
  local crc = i
  for _ = 1, 8 do
    crc = band(crc, 1) == 1 and bxor(rshift(crc, 1), 0xedb88320) or rshift(crc, 1)
  end
  crc_table[i] = crc
end

local function crc_step(crc, text)
  for begin = 1, #text, 256 do
    for _, byte in ipairs({text:byte(begin, begin + 255)}) do
      crc = bxor(rshift(crc, 8), crc_table[bxor(crc % 256, byte)])
    end
  end
  return crc
end

-- Over the seven bytes before the checksum and the payload. `tvb` begins with the frame, and has all of it.
local function frame_checksum(tvb, payload_size)
  local crc = crc_step(0xffffffff, tvb:raw(0, 7))
  if payload_size > 0 then crc = crc_step(crc, tvb:raw(HEADER_SIZE, payload_size)) end
  return bxor(crc, 0xffffffff) % 0x100000000  -- `bit` counts below zero
end

-- ---------------------------------------------------------------------------------------------------------------------------
-- Helpers. A payload is a Tvb of its own, so that offsets are those of the document.

-- What a frame's payload says in the Info column is a list of words.
local function words(...)
  local said = {}
  for i = 1, select("#", ...) do
    local word = select(i, ...)
    if word then said[#said + 1] = tostring(word) end
  end
  return table.concat(said, " ")
end

local function name_of(names, value)
  return names[value] or tostring(value)
end

local function parameter_name(kind)
  return PARAMETERS[kind] or string.format("0x%04x", kind)
end

local function complain(item, info, ...)
  item:add_proto_expert_info(info, string.format(...))
end

-- Adds the rows {field, offset, size} that are there. Without a size a row is UTF-8 and goes to the end. False, and an expert's
-- word, if the payload is shorter than the rows.
local function add_rows(tree, payload, rows)
  for _, row in ipairs(rows) do
    local field, offset, size = row[1], row[2], row[3]
    if not size then
      if payload:len() > offset then tree:add_packet_field(field, payload(offset), ENC_UTF_8) end
    elseif offset + size > payload:len() then
      complain(tree, expert_info.unreadable, "The payload is cut short: it has %d bytes, at least %d expected", payload:len(),
               offset + size)
      return false
    else
      tree:add(field, payload(offset, size))
    end
  end
  return true
end

-- §3.4
local function is_name(text)
  return #text >= 1 and #text <= 64 and text:find("^[A-Za-z0-9_][A-Za-z0-9._-]*$") ~= nil
end

-- ---------------------------------------------------------------------------------------------------------------------------
-- Parameters (§3.1)

-- How a value is read: its least and greatest length, and its rows.
local function name_in(field) return {min = 1, max = 64, is_name = true, rows = {{field, 0}}} end
local function number_in(field) return {min = 8, max = 8, rows = {{field, 0, 8}}} end
local LATER = 65535  -- may be longer in later versions

local REFUSAL_ROWS = {{f.refusal_code, 0, 2}, {f.refusal_number, 2, 8}}  -- §4.6

local PARAMETER_VALUES = {
  [0x8001] = name_in(f.client_id),
  [0x8002] = name_in(f.channel),
  [0x8003] = {min = 1, max = 1, rows = {{f.kind, 0, 1}}},
  [0x8004] = {min = 56, max = 56, rows = {  -- §3.2
    {f.session, 0, 16},
    {f.store, 16, 16},
    {f.resume_acknowledged, 32, 8},
    {f.resume_acknowledged_bytes, 40, 8},
    {f.resume_acknowledged_messages, 48, 8},
  }},
  [0x0005] = number_in(f.refusals_heard),
  [0x0006] = {min = 0, max = LATER, rows = {{f.software, 0}}},
  [0x0101] = name_in(f.assigned_client_id),
  [0x0102] = number_in(f.message_size_max),
  [0x0103] = {min = 17, max = LATER, rows = {  -- §3.6
    {f.unfinished_first, 0, 8},
    {f.unfinished_durable_bytes, 8, 8},
    {f.kind, 16, 1},
  }},
  [0x8104] = {min = 10, max = LATER, rows = REFUSAL_ROWS},
  [0x0105] = number_in(f.file_size_max),
  [0x0106] = {min = 2, max = LATER, rows = {{f.replicas, 0, 1}, {f.replicas_sync, 1, 1}}},  -- §3.3
  [0x8201] = name_in(f.message_channel),
  [0x8202] = {min = 1, max = 255, rows = {{f.file_name, 0}}},  -- §4.7
  [0x8203] = number_in(f.file_size),
  [0x0204] = {min = 4, max = 4, rows = {{f.file_mode, 0, 4}}},
  [0x0205] = {min = 12, max = 12, rows = {{f.file_mtime, 0, 8}, {f.file_mtime_nanoseconds, 8, 4}}},
  [0x8206] = {min = 32, max = 32, rows = {{f.file_digest, 0, 32}}},
}

-- The label of a parameter, and complaints about its value, which is a Tvb, or nil if it has no bytes. Returns the value as text
-- that may be shown to people, if it is a name.
local function add_value(item, kind, value)
  local size = value and value:len() or 0
  local known = PARAMETER_VALUES[kind]
  if not known then
    if value then item:add(f.parameter_value, value()) end
    if PARAMETERS[kind] then return end
    if kind >= 0x8000 then
      complain(item, expert_info.unknown_critical, "An unknown critical type, 0x%04x: to be refused (§3.1)", kind)
    else
      complain(item, expert_info.unknown_parameter, "An unknown type, 0x%04x: to be ignored (§3.1)", kind)
    end
  elseif size < known.min or size > known.max then
    if value then item:add(f.parameter_value, value()) end
    complain(item, expert_info.bad_parameter, "%s of the wrong length, %d (§3.1)", PARAMETERS[kind], size)
  elseif value then
    add_rows(item, value, known.rows)
    if not known.is_name then return end
    local text = value:raw()
    if is_name(text) then
      item:append_text(" " .. text)
      return text
    end
    complain(item, expert_info.bad_parameter, "%s is no name (§3.4)", PARAMETERS[kind])
  end
end

-- Adds all parameters from `offset` on. Returns what was there by type: a name's text, or true.
local function add_parameters(tree, payload, offset)
  local found = {}
  while offset < payload:len() do
    local left = payload:len() - offset
    local size = left >= 4 and payload(offset + 2, 2):uint()
    if not size or 4 + size > left then
      complain(tree:add(f.parameter, payload(offset)), expert_info.unreadable, "The parameter is cut short (§3.1)")
      return found
    end
    local kind = payload(offset, 2):uint()
    local item = tree:add(f.parameter, payload(offset, 4 + size))
    item:append_text(": " .. parameter_name(kind))
    item:add(f.parameter_type, payload(offset, 2))
    item:add(f.parameter_critical, payload(offset, 2))
    item:add(f.parameter_length, payload(offset + 2, 2))
    found[kind] = add_value(item, kind, size > 0 and payload(offset + 4, size):tvb() or nil) or true
    offset = offset + 4 + size
  end
  return found
end

-- The text of a name for the Info column, nil if there is none.
local function name_in_info(value)
  if value == true then return "(not a name)" end
  return value
end

-- ---------------------------------------------------------------------------------------------------------------------------
-- Payloads. Each function adds one to the tree and returns what the Info column says of it behind type and sequence; nil if it
-- cannot be read.

local SYN_ROWS = {  -- §3.2
  {f.version_min, 0, 1},
  {f.version_max, 1, 1},
  {f.mode, 2, 1},
  {f.reserved, 3, 1},
  {f.max_packet_size, 4, 4},
  {f.window_size, 8, 4},
  {f.attempt, 12, 8},
}

local function add_syn(tree, payload)
  if not add_rows(tree, payload, SYN_ROWS) then return nil end
  local found = add_parameters(tree, payload, 20)
  return words(name_in_info(found[0x8001]) or "(unnamed)", name_of(MODES, payload(2, 1):uint()), "window", payload(8, 4):uint(),
               found[0x8004] and "resume")
end

local SYN_ACK_ROWS = {  -- §3.3
  {f.version, 0, 1},
  {f.mode, 1, 1},
  {f.durability, 2, 1},
  {f.outcome, 3, 1},
  {f.max_packet_size, 4, 4},
  {f.window_size, 8, 4},
  {f.keep_alive_ms, 12, 4},
  {f.store, 16, 16},
  {f.session, 32, 16},
  {f.durable_through, 48, 8},
  {f.durable_bytes, 56, 8},
  {f.durable_messages, 64, 8},
  {f.limit_number, 72, 8},
  {f.limit_bytes, 80, 8},
}

local function add_syn_ack(tree, payload)
  if not add_rows(tree, payload, SYN_ACK_ROWS) then return nil end
  local found = add_parameters(tree, payload, 88)
  return words(name_of(OUTCOMES, payload(3, 1):uint()), name_in_info(found[0x0101]), name_of(MODES, payload(1, 1):uint()), "window",
               payload(8, 4):uint(), "durable", payload(48, 8):uint64())
end

-- From client to server: the third step of the handshake (§3.5), and the last one of the close (§7.2).
local function add_confirmation(tree, payload)
  tree:add(f.session, payload(0, CONFIRMATION_SIZE))
  if payload:len() == CONFIRMATION_SIZE then return "confirms the session" end
  tree:add(f.durable_through, payload(CONFIRMATION_SIZE, 8))
  return "confirms the close"
end

local ACK_ROWS = {  -- §6.1
  {f.durable_through, 0, 8},
  {f.received_through, 8, 8},
  {f.limit_number, 16, 8},
  {f.limit_bytes, 24, 8},
}
local RANGE_ROWS = {{f.ack_range_first, 0, 8}, {f.ack_range_last, 8, 8}}

-- Adds an item for each of `count` entries of `size` bytes from `offset` on. False if they are cut short or more than `max`.
local function add_entries(tree, payload, offset, count, max, field, size, rows)
  for i = 0, count - 1 do
    if i == max or payload:len() < offset + size then
      complain(tree, expert_info.unreadable, "%d entries announced, %d there, at most %d allowed", count, i, max)
      return false
    end
    add_rows(tree:add(field, payload(offset, size)), payload(offset, size):tvb(), rows)
    offset = offset + size
  end
  return true
end

local function add_ack(tree, payload)
  local is_confirmation = payload:len() == CONFIRMATION_SIZE or payload:len() == CLOSE_CONFIRMATION_SIZE
  if is_confirmation then return add_confirmation(tree, payload) end
  if not add_rows(tree, payload, ACK_ROWS) then return nil end
  if payload:len() < 36 then
    complain(tree, expert_info.unreadable, "The payload is cut short: it has %d bytes, at least 36 expected", payload:len())
    return nil
  end
  local flags = tree:add(f.ack_flags, payload(32, 2))
  flags:add(f.ack_final, payload(32, 2))
  flags:add(f.ack_refusals, payload(32, 2))
  tree:add(f.ack_range_count, payload(34, 2))
  local is_final, has_refusals = payload(32, 2):bitfield(15) == 1, payload(32, 2):bitfield(14) == 1

  local ranges, refusals = payload(34, 2):uint(), 0
  if not add_entries(tree, payload, 36, ranges, RANGES_MAX, f.ack_range, 16, RANGE_ROWS) then return nil end
  if has_refusals then
    local offset = 36 + 16 * ranges
    if not add_rows(tree, payload, {{f.ack_refusal_count, offset, 2}}) then return nil end
    refusals = payload(offset, 2):uint()
    if not add_entries(tree, payload, offset + 2, refusals, REFUSALS_MAX, f.refusal, 10, REFUSAL_ROWS) then return nil end
  end
  local durable, received = payload(0, 8):uint64(), payload(8, 8):uint64()
  return words("durable", durable, received ~= durable and "received " .. tostring(received), ranges > 0 and "ranges " .. ranges,
               refusals > 0 and "refusals " .. refusals, is_final and "final")
end

local ERROR_ROWS = {  -- §6.4
  {f.error_code, 0, 2},
  {f.error_class, 2, 1},
  {f.reserved, 3, 1},
  {f.retry_after_ms, 4, 4},
  {f.error_number, 8, 8},
  {f.error_sentence, 16},
}

-- What an ERROR's number names, where that is not a number of a frame (§8). nil: no name.
local function named_number(code, number)
  if code == BAD_PARAMETER and SYN_OFFSETS[number] then return SYN_OFFSETS[number] end
  if code == BAD_PARAMETER or code == UNKNOWN_CRITICAL_PARAMETER then return parameter_name(number) end
end

local function add_error(tree, payload)
  if not add_rows(tree, payload, ERROR_ROWS) then return nil end
  local code, class, number = payload(0, 2):uint(), payload(2, 1):uint(), payload(8, 8):uint64()
  local said = words(name_of(ERRORS, code), (ERROR_CLASSES[class] or "go_away"):gsub("_", " "),
                     class == RETRY_AFTER and payload(4, 4):uint() .. " ms",
                     number ~= UInt64(0) and (named_number(code, number:tonumber()) or "number " .. tostring(number)))
  complain(tree, expert_info.error, "ERROR %s", said)
  return said
end

local function add_keep_alive(tree, payload)
  if not add_rows(tree, payload, {{f.keep_alive, 0, 1}}) then return nil end
  return name_of(ASKS, payload(0, 1):uint())
end

local DISCONNECT_ROWS = {  -- §7.2
  {f.disconnect_end, 0, 1},
  {f.reserved, 1, 3},
  {f.retry_after_ms, 4, 4},
  {f.disconnect_last, 8, 8},
}

local function add_disconnect(tree, payload)
  if not add_rows(tree, payload, DISCONNECT_ROWS) then return nil end
  local retry_after_ms = payload(4, 4):uint()
  return words(name_of(ENDS, payload(0, 1):uint()), "last", payload(8, 8):uint64(),
               retry_after_ms > 0 and "retry after " .. retry_after_ms .. " ms")
end

local HEADER_ROWS = {  -- §4.4
  {f.kind, 0, 1},
  {f.reserved, 1, 3},
}

local function add_header(tree, payload)
  if not add_rows(tree, payload, HEADER_ROWS) then return nil end
  local found = add_parameters(tree, payload, 4)
  local kind, channel = payload(0, 1):uint(), name_in_info(found[0x8201])
  return words(kind == 0 and "abandons" or name_of(KINDS, kind), found[0x8206] and "digest", channel and "channel " .. channel)
end

-- DATA and FRAGMENT (§4.3)
local function add_bytes(tree, payload)
  if payload:len() > 0 then tree:add(f.data, payload()) end
  return "len " .. payload:len()
end

local PAYLOADS = {
  [DATA] = add_bytes,
  [ACK] = add_ack,
  [ERROR] = add_error,
  [KEEP_ALIVE] = add_keep_alive,
  [DISCONNECT] = add_disconnect,
  [SYN] = add_syn,
  [SYN_ACK] = add_syn_ack,
  [FRAGMENT] = add_bytes,
  [HEADER] = add_header,
}
local IS_NUMBERED = {[DATA] = true, [FRAGMENT] = true, [HEADER] = true}  -- §2.2

-- ---------------------------------------------------------------------------------------------------------------------------
-- The frame (§2.1)

-- §2.3
local function payload_size_max(kind)
  return (kind == DATA or kind == FRAGMENT) and PACKET_SIZE_MAX or CONTROL_SIZE_MAX
end

-- Of the frame at `offset`, with its header. Behind one that is too large nothing can be read: it takes the rest of the segment.
local function frame_size(tvb, _, offset)
  local rest = tvb:reported_length_remaining(offset)
  if tvb:len() - offset < HEADER_SIZE then return rest end  -- the capture cut it short
  local payload_size = tvb(offset, 4):uint()
  if payload_size > payload_size_max(tvb(offset + 4, 1):uint()) then return rest end
  return HEADER_SIZE + payload_size
end

local function add_header_fields(tree, tvb)
  tree:add(f.length, tvb(0, 4))
  tree:add(f.type, tvb(4, 1))
  tree:add(f.seq, tvb(5, 2))
  return tree:add(f.checksum, tvb(7, 4))
end

-- True if the frame is damaged (§2.5).
local function add_checksum_status(tree, checksum_item, tvb, payload_size)
  local status = 2
  if cproto.prefs.check then
    local expected = frame_checksum(tvb, payload_size)
    status = expected == tvb(7, 4):uint() and 1 or 0
    if status == 0 then complain(checksum_item, expert_info.checksum, "The frame is damaged: 0x%08x expected (§2.5)", expected) end
  end
  tree:add(f.checksum_status, tvb(7, 4), status):set_generated()
  return status == 0
end

local function add_payload_bytes(tree, tvb)
  if tvb:len() > HEADER_SIZE then tree:add(f.payload, tvb(HEADER_SIZE)) end
end

-- Adds one frame to `tree` and returns what the Info column says of it.
local function add_frame(tree, tvb)
  if tvb:len() < HEADER_SIZE then
    complain(tree, expert_info.not_captured, "The frame was not captured as a whole")
    return "not captured"
  end
  local payload_size, kind = tvb(0, 4):uint(), tvb(4, 1):uint()
  local name = FRAME_TYPES[kind] or string.format("type 0x%02x", kind)
  local checksum_item = add_header_fields(tree, tvb)
  if payload_size > payload_size_max(kind) then
    complain(tree, expert_info.too_large, "A payload of %.0f bytes is above every limit for %s (§2.3)", payload_size, name)
    add_payload_bytes(tree, tvb)
    return words(name, "len", string.format("%.0f", payload_size), "too large")
  end
  if tvb:len() < HEADER_SIZE + payload_size then
    complain(tree, expert_info.not_captured, "The frame was not captured as a whole")
    add_payload_bytes(tree, tvb)
    return words(name, "len", payload_size, "not captured")
  end

  local is_damaged = add_checksum_status(tree, checksum_item, tvb, payload_size)
  local said
  if PAYLOADS[kind] then
    said = PAYLOADS[kind](tree, tvb:range(HEADER_SIZE, payload_size):tvb()) or "unreadable"
  else
    complain(tree, expert_info.unknown_type, "Type 0x%02x: version 1 does not have it (§2.2)", kind)
    add_payload_bytes(tree, tvb)
    said = "len " .. payload_size
  end
  return words(is_damaged and "damaged", name, IS_NUMBERED[kind] and "seq " .. tvb(5, 2):uint(), said)
end

-- ---------------------------------------------------------------------------------------------------------------------------
-- Conversations

-- Its records begin with 0x14 to 0x17 and 3. Such a length no frame has.
local function is_tls(tvb)
  local first = tvb(0, 1):uint()
  return first >= 0x14 and first <= 0x17 and (tvb:len() < 2 or tvb(1, 1):uint() == 3)
end

-- A segment may have the end of one frame and many others: TCP calls the dissector for each part, and each adds to the column.
local function show_in_info(pinfo, said)
  local text = table.concat(said, ", ", 1, math.min(#said, INFO_FRAMES_MAX))
  if #said > INFO_FRAMES_MAX then text = text .. " and " .. #said - INFO_FRAMES_MAX .. " more" end
  if #said > 0 then
    if pinfo.private["cproto"] then text = ", " .. text end
    pinfo.private["cproto"] = "said"
    pinfo.cols.info:set(text)
    pinfo.cols.info:fence()
  end
end

-- Of a segment that was not captured as a whole: there is nothing to put together.
local function dissect_what_is_there(tvb, pinfo, tree, dissect_frame)
  local offset = 0
  while offset < tvb:len() do
    local size = math.min(frame_size(tvb, pinfo, offset), tvb:len() - offset)
    dissect_frame(tvb(offset, size):tvb(), pinfo, tree)
    offset = offset + size
  end
end

local function dissect(tvb, pinfo, tree)
  if tvb:len() == 0 or is_tls(tvb) then return 0 end
  pinfo.cols.protocol = "cproto"
  local said = {}
  local function dissect_frame(frame, _, frame_tree)
    local item = frame_tree:add(cproto, frame())
    said[#said + 1] = add_frame(item, frame)
    item:set_text("cproto, " .. said[#said])
    return frame:len()
  end
  if tvb:len() < tvb:reported_len() then
    dissect_what_is_there(tvb, pinfo, tree, dissect_frame)
  else
    dissect_tcp_pdus(tvb, tree, HEADER_SIZE, frame_size, dissect_frame)
  end
  show_in_info(pinfo, said)
  return tvb:len()
end
cproto.dissector = dissect

-- A whole header of a SYN, and behind it what a client may say (§3.2), as far as it is there.
local function looks_like_syn(tvb)
  if tvb:len() < HEADER_SIZE then return false end
  local payload_size = tvb(0, 4):uint()
  if payload_size < 20 or payload_size > CONTROL_SIZE_MAX then return false end
  if tvb(4, 1):uint() ~= SYN or tvb(5, 2):uint() ~= 0 then return false end
  if tvb:len() >= HEADER_SIZE + payload_size and frame_checksum(tvb, payload_size) == tvb(7, 4):uint() then return true end
  if tvb:len() < HEADER_SIZE + 3 then return true end
  local version_min, version_max = tvb(HEADER_SIZE, 1):uint(), tvb(HEADER_SIZE + 1, 1):uint()
  return version_min >= 1 and version_min <= version_max and MODES[tvb(HEADER_SIZE + 2, 1):uint()] ~= nil
end

local function recognise(tvb, pinfo, tree)
  local key = conversation(pinfo)
  local begins = not unclaimed_at[key] or unclaimed_at[key] == pinfo.number
  if not begins or not looks_like_syn(tvb) then
    if begins then unclaimed_at[key] = pinfo.number end
    return false
  end
  pinfo.conversation = cproto
  dissect(tvb, pinfo, tree)  -- as cproto.dissector it would be called through Wireshark, which then puts no segments together
  return true
end
cproto:register_heuristic("tcp", recognise)

local tcp_ports = DissectorTable.get("tcp.port")
local registered_port = 0

local function register_port()
  if registered_port > 0 then tcp_ports:remove(registered_port, cproto) end
  registered_port = cproto.prefs.port
  if registered_port > 0 then tcp_ports:add(registered_port, cproto) end
end
cproto.prefs_changed = register_port
register_port()
tcp_ports:add_for_decode_as(cproto)
