/*
 * msgpack_json.h - an event kept as msgpack, shown as JSON. Numbers keep their text; what JSON
 * cannot say is shown as a string that says so ("a binary float", "bytes 00ff", "ext 00ff", "not
 * UTF-8 c328"), of at most 256 bytes.
 *
 * Errors: VT_BAD_FORMAT where the bytes are no value; nothing of it is written then.
 * Thread: any.
 */
#pragma once

#include "json_out.h"

VT_MUST_CHECK vt_err json_put_msgpack(struct json_out *out, struct vt_bytes value);
