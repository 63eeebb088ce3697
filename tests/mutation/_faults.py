"""The planted faults: one line each, with the test that must turn red.

`test` is "PROGRAM ARGUMENTS", or "PROGRAM PROGRAM: COMMAND" where a script runs the programs.
"""

FAULTS = []

SIM_LOG = "sim_log --points 2000"
SIM_FLIPS = "sim_flips --share 16"
SIM_ENGINE = "sim_engine --points 400 --faults 30 --seconds 40"
ENGINE = "engine_probe: python3 tests/prop/engine.py --cases 60 --seed 20"
RATING = "rating_probe: python3 tests/prop/rating.py --cases 40 --seed 20"

HOSTILE = "venturid venturi: python3 tests/e2e/hostile_frames.py"
PEERS = "venturid venturi: python3 tests/e2e/many_peers.py"
KILL = "venturid venturi: python3 tests/crash/kill.py --kills 4 --seed 1"
SIM_BACKUP = "sim_backup --runs 20"
SIM_REPAIR = "sim_repair --damages 400"
SIM_DISK = "sim_disk --stride 25"
FULL = "venturid venturi: python3 tests/e2e/full_disk.py"
THREADS = "thread_core: timeout 15 BUILD/tests/thread/thread_core"
HTTP = "venturid: python3 tests/e2e/http_face.py"
STEADY = "venturid: python3 tests/e2e/steady.py"


def fault(name, file, old, new, test):
    FAULTS.append({"name": name, "file": file, "old": old, "new": new, "test": test})


# ---- the order on disk

fault("a manifest edit is not synced", "storage/manifest.c",
      "            err = io_sync(manifest->files[place.copy]);",
      "            err = VT_OK;", SIM_LOG)
fault("a new manifest is not synced before its name", "storage/manifest.c",
      "        err = io_sync(file);", "        err = VT_OK;", SIM_LOG)
fault("the manifest's directory is not synced", "storage/manifest.c",
      "        err = io_sync_dir(manifest->io, manifest->dir);", "        err = VT_OK;", SIM_LOG)
fault("a start number is lost", "storage/manifest.c",
      "    state->start = start;", "    state->start = start - 1;", SIM_LOG)
fault("a start forgets what it follows", "storage/manifest.c",
      "    state->follows_number = number;", "    state->follows_number = 0;", SIM_LOG)
fault("recovered commits are not synced", "storage/recovery.c",
      "        err = io_sync(lanes->files[i]);", "        err = VT_OK;", SIM_LOG)
fault("the chain accepts an older start", "storage/recovery.c",
      "    if (info->start < chain->base.last_start && "
      "info->number > chain->base.follows_number)",
      "    if (info->start > chain->last_start && "
      "info->number > chain->base.follows_number)", SIM_LOG)
fault("the chain does not look at the check before", "storage/recovery.c",
      "        info->previous != chain->last_check || info->start < chain->last_start)",
      "        info->start < chain->last_start)", "test_recovery")
fault("a torn payload passes", "storage/recovery.c",
      "    if (!info->intact || info->number != chain->last_number + 1 ||",
      "    if (info->number != chain->last_number + 1 ||", SIM_LOG)
fault("a hole below what was durable is cut in silence", "storage/recovery.c",
      "    if (err == VT_OK && !tolerate && chain.last_number < chain.proven)",
      "    if (err == VT_OK && !tolerate && chain.last_number > chain.proven)", "test_store")
fault("a commit counts as durable before those before it", "storage/log.c",
      "    while (log->order_first != NULL && log->order_first->state == BUFFER_DONE) {",
      "    while (log->order_first != NULL && log->order_first->state != BUFFER_QUEUED) {", SIM_LOG)
fault("a failed write counts as done", "storage/log.c",
      "    if (result != VT_OK) {\n        fail(log, result);",
      "    if (result == VT_NOMEM) {\n        fail(log, result);", SIM_LOG)
fault("more commits in flight than lanes", "storage/log.c",
      "    if (buffer->number <= log->durable + log->lane_count)\n        lane_start(log, queue);",
      "    lane_start(log, queue);", SIM_LOG)
fault("a lane is released one commit too far", "storage/lane.c",
      "        if (extent->number > number)", "        if (extent->number > number + 1)", SIM_LOG)
fault("a wrapped lane runs into its tail", "storage/lane.c",
      "        if (tail >= blocks) {", "        if (tail + 1 >= blocks) {", SIM_LOG)
fault("payload checksums are not looked at", "storage/commit.c",
      "            vt_crc32c(data + offset, bytes) != le32_get(record->payload_crc))",
      "            vt_crc32c(data + offset, bytes) == 0)", SIM_LOG)
fault("a segment is not synced", "storage/segment_writer.c",
      "        err = io_sync(writer->file);", "        err = VT_OK;", "test_segment_writer")
fault("a flipped bit in a segment passes", "storage/segment_reader.c",
      "    if (vt_crc32c_more(seed, out, info->stored_bytes) != info->stored_crc)",
      "    if (vt_crc32c_more(seed, out, info->stored_bytes) == 0)", "test_segment")
fault("the last value is that which came last", "engine/cells_block.c",
      "        order = event->time_us < last->time_us ? -1 : event->time_us > last->time_us;",
      "        order = 1;", "test_invariants")
fault("verify does not see a lost last edit", "storage/manifest.c",
      "        if (folds[i].torn || sequence_of(&folds[i]) != top)",
      "        if (folds[i].beyond > top)", SIM_FLIPS)
fault("a reserved byte of the superblock is not looked at", "storage/superblock.c",
      "    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);",
      "    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size / 2) == 0);", SIM_FLIPS)

# ---- the second copy

fault("a copy's segment is not synced", "storage/copy_files.c",
      "    return err == VT_OK ? io_sync(to) : err;", "    return err;", SIM_BACKUP)
fault("a copy's lanes are not synced", "storage/backup_tail.c",
      "            err = io_sync(copy->lane_files[i]);\n"
      "    if (err != VT_OK || lanes_written == 0)",
      "            err = VT_OK;\n    if (err != VT_OK || lanes_written == 0)", SIM_BACKUP)
fault("a copy keeps what its store lost", "storage/backup.c",
      "        err = backup_tail_back(backup, common_number(backup));",
      "        err = common_number(backup) > 0 ? VT_OK : VT_IO;", SIM_BACKUP)
fault("a restored store counts its starts on", "storage/restore.c",
      "    *out_start = ((newest >> 32) + 1) << 32 | random >> 1;",
      "    *out_start = newest + 1;", SIM_BACKUP)
fault("a file of another history repairs a store", "storage/copy_files.c",
      "    if (err == VT_OK && named->check != 0 && named->check != segment_check(segment))",
      "    if (err == VT_OK && named->check == 0 && named->check != segment_check(segment))",
      "sim_repair --damages 4000")
fault("a repair trusts the copy", "storage/copy_files.c",
      "        err = copy_segment_check(file->io, part, segment, store);", "        err = VT_OK;",
      SIM_REPAIR)
fault("a cursor of the lost future holds", "engine/view_feed.c",
      "        if (number <= fork->number)", "        if (number > 0)", "test_core")
fault("a fence falls by itself", "engine/fence.c",
      "    return segment == NULL || segment_reopen(segment, &part->chunk) == VT_OK;",
      "    return segment == NULL || segment_reopen(segment, &part->chunk) != VT_IO;", "test_fence")
fault("another file of the name is taken into use", "storage/segment_reader.c",
      "        err = VT_DAMAGED;\n"
      "    return err == VT_OK ? segment_chunk_check(&fresh, info) : err;",
      "        err = VT_OK;\n    return err == VT_OK ? segment_chunk_check(&fresh, info) : err;",
      "test_fence")

# ---- the core: commits, acks, sessions, cuts

fault("an ack before durable, a view before durable", "engine/core.c",
      "    return core->log == NULL || work->meta.number <= log_durable(core->log);",
      "    return core != NULL;", SIM_ENGINE)
fault("a resend is counted twice", "engine/part.c",
      "    part->total.duplicates += count;",
      "    part->total.duplicates += count + (count == 3);", SIM_ENGINE)
fault("a resend is logged and not counted", "engine/core_work.c",
      "        vt_err err = part_count_resend(core->parts[partition], tenant, count);",
      "        vt_err err = part_count_resend(core->parts[partition], tenant, 0);", SIM_ENGINE)
fault("a session's next sequence is one too far", "engine/core_session.c",
      "    producer->durable_next = end;", "    producer->durable_next = end + 1;", SIM_ENGINE)
fault("an epoch that has ended is open again", "engine/core_session.c",
      "    if (epoch < producer->epoch)\n        return vt_err_detail(VT_PRODUCER_TAKEN,",
      "    if (epoch + 1 < producer->epoch)\n        return vt_err_detail(VT_PRODUCER_TAKEN,",
      SIM_ENGINE)
fault("a new epoch keeps the old intervals", "engine/core_session.c",
      "        producer->interval_count = 0;\n        producer->durable_next = 1;",
      "        producer->durable_next = 1;", SIM_ENGINE)
fault("a start does not move sessions on", "engine/core_recover.c",
      "    if (err == VT_OK)\n        core_session_durable(producer, record->epoch,",
      "    if (err != VT_OK)\n        core_session_durable(producer, record->epoch,", SIM_ENGINE)
fault("the state of a seal forgets intervals", "engine/core_state.c",
      "    put_u32(writer, producer->interval_count);",
      "    put_u32(writer, producer->interval_count & 0u);", SIM_ENGINE)
fault("a token's only tenant is not checked", "engine/core_admit.c",
      "        if (!vt_str_equal(batch->strings[code], tenant))",
      "        if (vt_str_equal(batch->strings[code], VT_STR(\"~\")))", "test_core")
fault("the door does not see ids in flight", "engine/core_admit.c",
      "    uint64_t taken = core_ids_known(core) + core->ids_in_flight;",
      "    uint64_t taken = core_ids_known(core);", "test_core")
fault("a partition gets the next one's events", "engine/core_admit.c",
      "        start[batch->partition[e] + 1]++;", "        start[batch->partition[e]]++;",
      SIM_ENGINE)
fault("an old arrival goes back in time", "engine/core_commit.c",
      "    int64_t arrival_us = now_us > core->arrival_last_us ? now_us : core->arrival_last_us;\n"
      "    struct core_item *item = NULL;\n\n    VT_ASSERT(core->magic == CORE_MAGIC);",
      "    int64_t arrival_us = now_us;\n"
      "    struct core_item *item = NULL;\n\n    VT_ASSERT(core->magic == CORE_MAGIC);",
      "test_core")
fault("a cut loses the manifest's state", "engine/core_cut.c",
      "            .state = state,", "            .state = cut->core_state,", SIM_ENGINE)
fault("a cut drops the feed", "engine/seal_lists.c",
      "    list->seal->meta.feed = le32_put(list->count);",
      "    list->seal->meta.feed = le32_put(0 * list->count);", SIM_ENGINE)

# ---- full and failing disks

fault("the door never opens again", "engine/core_space.c",
      "        space->full = space->stalled || !space->reserve ||",
      "        space->full = space->full || !space->reserve ||", SIM_DISK)
fault("a cut that waits for space is never tried again", "engine/core_space.c",
      "        core_seal_again(core);", "        core_seal_next(core);", SIM_DISK)
fault("a full disk is a failure", "engine/core_cut.c",
      "    if (err == VT_FULL) {\n        cut->next",
      "    if (err == VT_LOCKED) {\n        cut->next", SIM_DISK)
fault("segments that an edit may name are removed", "engine/core_cut.c",
      "    if (cut->edit_tried)\n        return;",
      "    if (cut->edit_tried && core == NULL)\n        return;", SIM_DISK)
fault("a start does not use its reserve", "storage/store.c",
      "    for (size_t i = 0; err == VT_FULL && i < VT_COUNT(reserves); i++) {",
      "    for (size_t i = 2; err == VT_FULL && i < VT_COUNT(reserves); i++) {", FULL)
fault("what a full disk refused is not sent again", "net/client/client.c",
      "    if (client->rewind)\n        client->sent = 0;",
      "    if (client->rewind && client->sent == 0)\n        client->sent = 0;", "test_client")
fault("a file that failed is written on", "storage/io.c",
      "    if (err != VT_OK)\n        file->dead = true;\n    return err;",
      "    if (err == VT_CANCELLED)\n        file->dead = true;\n    return err;", "test_io")

# ---- merging

fault("a merge keeps the numbers of rows", "engine/seal_merge_ids.c",
      "    return input->group_first[group] + (row - (uint32_t)directory->group_first[group]);",
      "    return row + 0 * input->group_first[group];", "test_seal_merge")
fault("a merge leaves cells of one key apart", "engine/seal_merge_cells.c",
      "        equal[i] = !cells->sources[i].over && head_order(&cells->sources[i], least) == 0;",
      "        equal[i] = &cells->sources[i] == least;", "test_seal_merge")
fault("a merge keeps the codes of a feed entry", "engine/seal_merge.c",
      "        moved.group[g] = lists->input->codes[entry->group[g]];",
      "        moved.group[g] = entry->group[g];", "test_seal_merge")
fault("a merge repeats the first stub", "engine/seal_merge_rows.c",
      "        source->stubs++;", "        (void)source;", "test_seal_merge")
fault("a merge takes the runs of a tenant backwards", "engine/seal_merge_rows.c",
      "                err = group_copy(merge, &rows->sources[i]);",
      "                err = group_copy(merge, &rows->sources[i ^ 1]);", "test_seal_merge")
fault("an input goes before the edit that names the merged one", "engine/core_merge.c",
      "    merge->err = merge_write(core, merge, pause);",
      "    merge->err = merge_write(core, merge, pause);\n"
      "    store_segment_drop(core->options.seal_io, &merge->inputs[0]);", SIM_ENGINE)
fault("segments of two catalogs are merged", "engine/core_merge.c",
      "    if (run->count > 0 && (run->catalog != catalog || run->level != segment->id.level))",
      "    if (run->count > 0 && run->level != segment->id.level)", "test_core_merge")
fault("a merge that fails is tried again at once", "engine/core_merge.c",
      "    core->merge_after[merge->inputs[0].id.partition] = core->stats.cuts + MERGE_PAUSE;",
      "    core->merge_after[merge->inputs[0].id.partition] = core->stats.cuts;", "test_core_merge")
fault("a worker keeps an input beside the merged one", "engine/part.c",
      "    part->sealed_count -= count - 1;", "    part->sealed_count -= count - 2;", SIM_ENGINE)
fault("a start leaves segments that nobody names", "storage/store.c",
      "    store_sweep(store);", "    (void)store;", "test_store")
fault("a merge edit removes one segment too few", "storage/manifest_format.c",
      "            compare_segments(&merge->segments[next], &state->segments[i]) == 0)",
      "            next > 0 && compare_segments(&merge->segments[next], &state->segments[i]) == 0)",
      "test_manifest")

# ---- exactly once

fault("the duplicate check is skipped", "engine/dedup.c",
      "        bool known = probes[i].found.equal != 0;",
      "        bool known = probes[i].found.equal == UINT32_MAX;", "test_part")
fault("a full line hides what spilled", "engine/dedup.c",
      "(&dedup->spilled[line / 64], UINT64_C(1) << (line % 64),",
      "(&dedup->spilled[line / 64], UINT64_C(1) << (line % 32),", "test_dedup")
fault("a slot that was taken meanwhile is not looked at again", "engine/dedup.c",
      "|| !slot_take(dedup, &probes[i], dedup->shared))",
      "|| (!slot_take(dedup, &probes[i], dedup->shared) && false))", "test_dedup")
fault("what the segments answered is forgotten", "engine/part_find.c",
      "        return answer->found ? VT_OK : VT_NOT_FOUND;",
      "        return answer->found && false ? VT_OK : VT_NOT_FOUND;", "test_part")
fault("a conflict is not counted", "engine/part_apply.c",
      "    tally->conflicts += verdict == VT_CONFLICT;",
      "    tally->conflicts += verdict > VT_EXCEPTION;", "test_part_model")
fault("a conflict is no duplicate", "engine/part_apply.c",
      "    tally->duplicates += verdict == VT_DUPLICATE || verdict == VT_CONFLICT;",
      "    tally->duplicates += verdict == VT_DUPLICATE;", "test_part_model")
fault("content is not compared", "engine/part_apply.c",
      "    bool equal = part_content_equal(batch, index, &first);",
      "    bool equal = part_content_equal(batch, index, &first) || true;", "test_part")
fault("the default verdict is accepted", "engine/part_apply.c",
      "    uint8_t verdict = VT_EXCEPTION;", "    uint8_t verdict = VT_ACCEPTED;", "test_part")
fault("a retry forgets the source of an id", "engine/part_settle.c",
      "                           batch->strings[batch->source[0]], &batch->id[0]);",
      "                           batch->strings[0], &batch->id[0]);", SIM_ENGINE)
fault("a discarded exception is retried", "engine/part_settle.c",
      "    return list->entries[low].settled ? NULL : &list->entries[low];",
      "    return &list->entries[low];", SIM_ENGINE)
fault("a retry leaves the exception counted", "engine/part_settle.c",
      "        from[i]->exceptions--;", "        from[i]->exceptions -= i;", "test_part_model")
fault("malformed events are retried", "engine/part_settle.c",
      "        if (entry != NULL && entry->reason != VT_REASON_NONE &&\n"
      "            entry->reason != VT_REASON_MALFORMED)",
      "        if (entry != NULL && entry->reason != VT_REASON_NONE)", "test_part")
fault("a start forgets the conflicts that are open", "engine/part_settle.c",
      "    load->exceptions += entry->reason != VT_REASON_NONE;\n"
      "    return open_list_add(list, &open);",
      "    load->exceptions += entry->reason != VT_REASON_NONE;\n"
      "    return entry->reason == VT_REASON_NONE ? VT_OK : open_list_add(list, &open);",
      "test_part")

fault("a session's frame is one sequence too far", "engine/epoch.c",
      "        le64 sequence = le64_put(batch->sequence + rows->index[i]);",
      "        le64 sequence = le64_put(batch->sequence + rows->index[i] + 1);", "test_part_plain")
fault("a session's frame opens no window", "engine/part_plain.c",
      "    return err == VT_OK ? part_windows_take(part, first, select_count) : err;",
      "    return err;", "test_part_plain")

# ---- what an event is

fault("surrogates pass as UTF-8", "storage/base/utf8.c",
      "        high = 0x9F;", "        high = 0xBF;", "test_utf8")
fault("the greatest code point is one too small", "storage/base/utf8.c",
      "        high = 0x8F;", "        high = 0x8E;", "test_utf8")
fault("one level too deep passes", "engine/msgpack_cursor.c",
      "    if (level + skim->open >= VT_DEPTH_MAX) {",
      "    if (level + skim->open > VT_DEPTH_MAX) {", "test_msgpack_cursor")
fault("more elements than bytes pass", "engine/msgpack_cursor.c",
      "    skim->awaited += elements;", "    skim->awaited = elements;", "test_msgpack_cursor")
fault("a catalog one level too deep", "engine/json_tree.c",
      "    if (builder->depth == JSON_DEPTH_MAX)", "    if (builder->depth == JSON_DEPTH_MAX - 1)",
      "test_json_tree")
fault("the first moment that is too late passes", "engine/batch_judge.c",
      "    return utc.us >= VT_EVENT_FIRST_US && utc.us <= VT_EVENT_LAST_US;",
      "    return utc.us >= VT_EVENT_FIRST_US && utc.us <= VT_EVENT_LAST_US + 1;",
      "test_batch_rows")
fault("a missing field is none", "engine/batch_judge.c",
      "            *reason = VT_REASON_MISSING_FIELD;", "            *reason = VT_REASON_NONE;",
      "test_batch_rows")
fault("unknown types before unknown tenants", "engine/batch_judge.c",
      "    else if (batch->tenant[index] == CATALOG_NONE)",
      "    else if (batch->tenant[index] == CATALOG_NONE && type != CATALOG_NONE)",
      "test_batch_rows")
fault("a header's flags are not checked", "storage/base/wire.c",
      "    if (le16_get(header->flags) != 0)", "    if (le16_get(header->flags) > 1)", "test_wire")
fault("a batch of no events passes", "storage/base/wire.c",
      "    return event_count > 0 && event_count <= VT_BATCH_EVENTS_MAX ? VT_OK : VT_BAD_LENGTH;",
      "    return event_count <= VT_BATCH_EVENTS_MAX ? VT_OK : VT_BAD_LENGTH;", "test_wire")
fault("an added field may be required", "engine/catalog_extend.c",
      "(required != NULL && !required->truth))", "(required != NULL))", "test_catalog_pack")

fault("in the digest a decimal that is not there is a zero", "engine/content.c",
      "            row->word[WORD_ABSENT] |= UINT64_C(1) << c;",
      "            row->word[WORD_ABSENT] |= UINT64_C(0) << c;", "test_content")

# ---- windows and the feed

fault("a swapped tie in last", "engine/row_id.c",
      "    return vt_str_compare(row_id_text(a, text_a), row_id_text(b, text_b));",
      "    return vt_str_compare(row_id_text(b, text_b), row_id_text(a, text_a));", "test_cells")
fault("last by arrival", "engine/cells_block.c",
      "        order = event->time_us < last->time_us ? -1 : event->time_us > last->time_us;",
      "        order = event->time_us != last->time_us;", ENGINE)
fault("last by arrival, in an epoch's cells", "engine/cells_rows.c",
      "        return cell->count == 0 || event->time_us > last->time_us;",
      "        return cell->count == 0 || event->time_us != last->time_us;", "test_cells")
fault("a window is told of once and for all", "engine/cells_touch.c",
      "        if (slot->generation == touch->generation && "
      "slot->start_us == key.window_start_us &&",
      "        if (slot->generation != 0 && slot->start_us == key.window_start_us &&",
      "test_window_state")
fault("a window is final a moment late", "engine/window_state.c",
      "    while (err == VT_OK && window_state_due_us(state) <= tick->arrival_us) {",
      "    while (err == VT_OK && window_state_due_us(state) < tick->arrival_us) {",
      "test_window_state")
fault("a close takes one window too many", "engine/window_state.c",
      "           win_end_us(state, win) <= before_us && (!win->final || win->dirty != NULL);",
      "           win_end_us(state, win) <= before_us + 1 && (!win->final || win->dirty != NULL);",
      "test_window_state")
fault("a burst makes two revisions", "engine/window_state.c",
      "    if (err != VT_OK || dirty_find(state, win, state->pack, bytes) != NULL)",
      "    if (err != VT_OK)", "test_window_state")
fault("a tick is every commit", "engine/part.c",
      "    return vt_floor_us(arrival_us, VT_US_PER_SECOND) > "
      "vt_floor_us(before_us, VT_US_PER_SECOND);",
      "    return vt_floor_us(arrival_us, VT_US_PER_SECOND) >= "
      "vt_floor_us(before_us, VT_US_PER_SECOND);", "test_part")
fault("a page of the feed repeats its cursor's row", "engine/view_feed.c",
      "    if ((collect->has_after && page_key_compare(&key, &collect->after) <= 0) ||",
      "    if ((collect->has_after && page_key_compare(&key, &collect->after) < 0) ||", SIM_ENGINE)
fault("a cursor of another store is believed", "engine/view_feed.c",
      "    if (memcmp(signature, cursor + CURSOR_BODY, sizeof signature) != 0)",
      "    if (memcmp(signature, cursor + CURSOR_BODY, 1) > 255)", "test_core")

# ---- money

fault("half_up for half_even", "engine/money.c",
      "    if (order > 0 || (order == 0 && (mode == ROUND_HALF_UP || mpz_odd_p(whole))))",
      "    if (order > 0 || (order == 0 && (mode <= ROUND_HALF_EVEN || mpz_odd_p(whole))))",
      "test_money")
fault("the allowance is not floored", "engine/rater_slot.c",
      "    money_floor(walk->allowance, walk->allowance, walk->meter->scale);",
      "    (void)money_floor;", RATING)
fault("a tier's last unit falls into the next", "engine/price_model.c",
      "        if (terms->tiers[i].open || mpq_cmp(total, high) <= 0)",
      "        if (terms->tiers[i].open || mpq_cmp(total, high) < 0)", "test_price_model")
fault("a tier's flat is charged before it is entered", "engine/price_model.c",
      "        last = tier->open || mpq_cmp(units, high) <= 0;",
      "        last = tier->open || mpq_cmp(units, high) < 0;", "test_price_model")
fault("only whole packages are charged", "engine/price_model.c",
      "    mpz_cdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));",
      "    mpz_fdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));", "test_price_model")
fault("the minimum of an event is taken off", "engine/price_model.c",
      "        if (terms->has_per_event_min && mpq_cmp(fee, rate) < 0)",
      "        if (terms->has_per_event_min && mpq_cmp(fee, rate) > 0)", "test_price_model")
fault("ties of shares in the other order", "engine/money.c",
      "    return a->index < b->index ? -1 : a->index > b->index;",
      "    return a->index < b->index ? 1 : -(a->index > b->index);", RATING)

# ---- the net

fault("a multishot receive is not armed again", "net/conns.c",
      "        conn->receiving = false;", "        conn->receiving = result < 0;", PEERS)
fault("a multishot accept is not armed again", "net/conns.c",
      "        conns->accepting = false;", "        conns->accepting = result < 0;", PEERS)
fault("the eventfd is not read again", "net/server.c",
      "        server->wake_armed = false;", "        server->wake_armed = true;", STEADY)
fault("a receive buffer is not given back", "net/conns_frames.c",
      "    conn->held_count--;\n    conns_buffer_put(conns, buffer);",
      "    conn->held_count--;", STEADY)
fault("an ack goes to the next one in the slot", "net/conns_frames.c",
      "    bool here = conn->state != CONN_FREE && conn->generation == own->generation;",
      "    bool here = conn->state != CONN_FREE;", PEERS)
fault("two connections of one producer", "net/conns_frames.c",
      "    if (session.producer != 0)\n        take_over(conns, conn, session.producer);",
      "    if (session.producer == 0)\n        take_over(conns, conn, session.producer);", HOSTILE)
fault("a token that may only read may send", "net/conns_frames.c",
      "hello.token, SCOPE_INGEST, &grant);", "hello.token, SCOPE_READ, &grant);", HOSTILE)
fault("a connection forgets its token's tenant", "net/conns_frames.c",
      "    conn->tenant = grant.tenant;", "    conn->tenant = (struct vt_str){NULL, 0};", HOSTILE)
fault("the welcome is one sequence too far", "net/conns_frames.c",
      "        .sequence_next = le64_put(session->sequence_next),",
      "        .sequence_next = le64_put(session->sequence_next + 1),", KILL)
fault("malformed frames are forgiven for ever", "net/conns_frames.c",
      "    conn->strikes += is_malformed(err);", "    conn->strikes |= is_malformed(err);", HOSTILE)
fault("a payload's checksum is not looked at", "net/frame_stream.c",
      "    if (vt_crc32c(frame.payload.data, frame.payload.size) != frame.payload_crc)",
      "    if (vt_crc32c(frame.payload.data, frame.payload.size) == UINT32_MAX)",
      "test_frame_stream")
fault("a token has every scope", "net/token.c",
      "    if ((token->scopes & scopes) != scopes)", "    if (token->scopes == 0)", "test_token")
fault("a worker that sleeps is not woken", "net/worker.c",
      "    if (atomic_exchange(&thread->asleep, 0) == 1)",
      "    if (atomic_exchange(&thread->asleep, 0) == 2)", THREADS)
fault("the sealer's news are lost", "net/worker.c",
      "    return vt_ring_try_pop(&workers->finished, &message) ? message : NULL;",
      "    return vt_ring_try_pop(&workers->finished, &message) ? NULL : message;", THREADS)

# ---- HTTP

fault("a token for reading changes the catalog", "net/http_routes.c",
      "    {POST, \"/v1/catalog\", SCOPE_ADMIN, true,",
      "    {POST, \"/v1/catalog\", SCOPE_READ, true,", HTTP)
fault("a token of one tenant reads another's", "net/http_request.c",
      "    if (request->query.tenant.size > 0 && !vt_str_equal(request->query.tenant, own))",
      "    if (request->query.tenant.size > 1024 && !vt_str_equal(request->query.tenant, own))",
      HTTP)
