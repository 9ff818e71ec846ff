/* Any payload is refused or is exactly what encoding its message gives again. The first two
 * bytes are the code. */
#include <stdlib.h>
#include "libcommon/ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	enum msg_type t = (enum msg_type)(data[0] | data[1] << 8);
	struct slice payload = {(const char *)data + 2, len - 2};
	struct pool *pool = pool_new(0);
	void *msg = msg_decode(pool, t, payload, -1);
	if (msg) {
		struct buf wire = {0};
		int fd;
		if (!msg_encode(&wire, t, 1, msg, &fd) || fd != -1 ||
		    !slice_eq((struct slice){wire.p + IPC_HEADER, wire.len - IPC_HEADER}, payload))
			abort();
		buf_free(&wire);
	}
	pool_free(&pool);
	return 0;
}
