/*
 * client_internal.h - what the client's two files share: client.c settles frames, client_socket.c
 * connects and moves bytes. venturi/client.h has the picture.
 */
#pragma once

#include "venturi/client.h"

#define CLIENT_PENDING_MAX 1024U

/* A frame that is not settled, or settled before an older one. */
struct client_frame {
    uint8_t *bytes; /* header and payload; malloc */
    uint32_t size;
    uint32_t event_count;
    uint64_t sequence;
    bool settled;
};

struct vt_client {
    struct vt_client_options options; /* its strings are these */
    char *address;
    char *token;
    char *producer;
    struct vt_client_info info;
    vt_err failed;
    int fd; /* -1: not connected */
    bool welcomed_once;
    int64_t lost_ms;  /* when the connection went away */
    int64_t heard_ms; /* last bytes from the daemon */

    /* A ring in the order of sending. */
    uint32_t first;
    uint32_t count;
    uint32_t sent;       /* of `count`, sent whole on this connection */
    uint32_t sent_bytes; /* of the one behind them */
    uint32_t flying;     /* sent and not settled */
    uint64_t flying_bytes;
    uint64_t queued_bytes; /* of all not settled */

    /* The daemon's disk is full: see "a full disk" in client.c. */
    bool full;
    bool rewind; /* frames below `sent` were refused and go out again */
    int64_t full_since_ms;
    int64_t full_next_ms; /* when the next frame goes out to try */
    struct client_frame frames[CLIENT_PENDING_MAX];

    uint8_t *input; /* malloc */
    uint32_t input_fill;
    uint32_t input_capacity;
};

/* A frame from the daemon; its payload lies in `input`. */
struct client_input {
    uint8_t type;
    uint64_t sequence;
    struct vt_bytes payload;
};

/* client_socket.c */
int64_t client_now_ms(void);
/* One attempt within connect_ms, hello sent. */
VT_MUST_CHECK vt_err client_connect(struct vt_client *client);
void client_disconnect(struct vt_client *client);
/* Waits for what can be done, at most wait_ms; VT_OK also where nothing can. */
VT_MUST_CHECK vt_err client_wait(struct vt_client *client, bool to_write, uint32_t wait_ms);
/* What the kernel takes without waiting. */
VT_MUST_CHECK vt_err client_write(struct vt_client *client, const uint8_t *bytes, uint32_t size,
                                  uint32_t *out_written);
/* What has come; VT_END where the daemon closed. */
VT_MUST_CHECK vt_err client_read(struct vt_client *client);
/* The first whole frame of the input. VT_INCOMPLETE: none yet. */
VT_MUST_CHECK vt_err client_input_next(const struct vt_client *client,
                                       struct client_input *out_input);
void client_input_drop(struct vt_client *client, const struct client_input *input);
