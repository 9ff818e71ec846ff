/* key_sign: the data behind a signature. Of key.c only. */
#ifndef IPC_KEY_SIGN_H
#define IPC_KEY_SIGN_H
#include <gnutls/abstract.h>
#include <stdbool.h>

/* For the callbacks of an external key: what GnuTLS is signing with it just now, before any
 * hashing. False when that is not known; the signature must then be refused. */
bool key_sign_data(gnutls_privkey_t signer, gnutls_sign_algorithm_t *algorithm,
		   gnutls_datum_t *data);
#endif
