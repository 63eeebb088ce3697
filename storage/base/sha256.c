#include <openssl/evp.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

void
vt_sha256(const void *data, uint64_t size, uint8_t out_digest[32])
{
    unsigned digest_size = 0;

    int done = EVP_Digest(data, size, out_digest, &digest_size, EVP_sha256(), NULL);

    /* It fails where OpenSSL has no memory or was built without SHA-256: nothing a caller can
     * mend. */
    VT_ASSERT(done == 1);
    VT_ASSERT(digest_size == 32);
}
