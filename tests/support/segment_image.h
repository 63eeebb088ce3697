/*
 * segment_image.h - mends the checksums of a segment's image, so that a test can plant what only
 * the checks behind them would find.
 *
 * Thread: any.
 */
#pragma once

#include <stdint.h>

/* Recomputes every checksum that can be found by following the image's own lengths; what points
 * outside of the image is left as it is. Any bytes may be given. */
void segment_image_mend(uint8_t *image, uint64_t size);
