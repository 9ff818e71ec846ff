/* Keys of session tickets. They never touch the disk: whoever takes a key reads the sessions of
 * its time, so it dies with keyd, and a client whose ticket is not known makes a full handshake. */
#include "keyd/keyd.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"

static struct {
	unsigned char key[TICKET_KEY_LEN];
	uint64_t until_ms; /* 0: none made yet */
} ticket[ROLE_COUNT];

static void make(enum role role)
{
	if (gnutls_rnd(GNUTLS_RND_KEY, ticket[role].key, TICKET_KEY_LEN) != 0)
		abort(); /* never sessions under a known key */
	ticket[role].until_ms = clock_ms() + conf.ticket_lifetime;
}

const unsigned char *ticket_key(enum role role, uint64_t *until_ms)
{
	if (!ticket[role].until_ms)
		make(role);
	*until_ms = ticket[role].until_ms;
	return ticket[role].key;
}

unsigned ticket_rotate(void)
{
	unsigned roles = 0;
	for (int r = 0; r < ROLE_COUNT; r++)
		if (ticket[r].until_ms && clock_ms() >= ticket[r].until_ms) {
			make((enum role)r);
			roles |= R_BIT(r);
		}
	return roles;
}

void ticket_close(void)
{
	gnutls_memset(ticket, 0, sizeof(ticket));
}
