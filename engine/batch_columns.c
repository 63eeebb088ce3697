#include "batch_reader.h"

vt_err
batch_columns_decode(struct batch_reader *reader)
{
    (void)reader;
    return VT_UNSUPPORTED;
}
