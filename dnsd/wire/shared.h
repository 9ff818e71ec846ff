/* shared: what the processes of dnsd know together, in memory that outlives them (daemon_shared()):
 * how much each network was answered, and when each key has signed. */
#ifndef DNSD_SHARED_H
#define DNSD_SHARED_H
#include <stdatomic.h>
#include "libcommon/base/sip.h"
#include "libcommon/dns/tsig.h"

enum {
	RRL_SLOTS = 1 << 16,
	SIGNED_SLOTS = 4096,
	/* Seconds that a signed message may be overtaken by a later one of the same key: by UDP
	 * they change their order and are sent again, and several hosts have one key. */
	SIGNED_OVERTAKEN = 10,
};
/* A network and a class of responses. */
struct rrl_slot {
	_Atomic uint32_t tag;  /* of the hash: two networks that share it share the slot */
	_Atomic uint32_t over; /* responses over the limit, for slip */
	_Atomic uint64_t paid; /* ns: until when what it was sent is paid for; 0: unused */
};
/* A key and a kind of messages. */
struct signed_slot {
	_Atomic uint64_t who;  /* hash; 0: unused */
	_Atomic uint64_t last; /* seconds: the latest time that was signed */
};
struct shared {
	_Atomic uint32_t layout, ready;
	uint8_t key[SIP_KEY]; /* of the hashes */
	struct rrl_slot rrl[RRL_SLOTS];
	struct signed_slot last[SIGNED_SLOTS];
};
/* mem: sizeof(struct shared) octets, zero at first; NULL, or of another version of the program: one
 * of this process's own. */
struct shared *shared_open(void *mem);
/* A message of the kind (any number) came whose signature by the key is good and of that time.
 * False: it is older than one that came before (RFC 8945 5.2.3), somebody plays it again. */
bool shared_signed(struct shared *s, const struct tsig_key *key, unsigned kind, uint64_t time);
#endif
