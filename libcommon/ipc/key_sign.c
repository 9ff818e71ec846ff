/* keyd signs data whose form it can check, never a bare hash; but GnuTLS 3.7 hashes before it calls
 * an external key (only EdDSA keys get the data), and a ServerKeyExchange's data can be had
 * nowhere else. So this program's gnutls_privkey_sign_data2 stands before the library's, which
 * calls it through its symbol table; it notes what is signed and calls the real one. Where
 * a GnuTLS does not call it, signing fails closed: the callbacks find no data. */
#include "libcommon/ipc/key_sign.h"
#include <dlfcn.h>
#include <stddef.h>

typedef int sign_data2(gnutls_privkey_t signer, gnutls_sign_algorithm_t algo, unsigned flags,
		       const gnutls_datum_t *data, gnutls_datum_t *signature);

static _Thread_local struct {
	gnutls_privkey_t signer; /* NULL: nothing is being signed */
	gnutls_sign_algorithm_t algorithm;
	const gnutls_datum_t *data;
} now;

__attribute__((visibility("default"))) int
gnutls_privkey_sign_data2(gnutls_privkey_t signer, gnutls_sign_algorithm_t algo, unsigned int flags,
			  const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	static sign_data2 *real;
	if (!real) {
		void *p = dlsym(RTLD_NEXT, "gnutls_privkey_sign_data2");
		if (!p)
			return GNUTLS_E_INTERNAL_ERROR;
		*(void **)&real = p;
	}
	now.signer = signer;
	now.algorithm = algo;
	now.data = data;
	int r = real(signer, algo, flags, data, signature);
	now.signer = NULL;
	return r;
}

bool key_sign_data(gnutls_privkey_t signer, gnutls_sign_algorithm_t *algorithm,
		   gnutls_datum_t *data)
{
	if (!now.signer || now.signer != signer)
		return false;
	*algorithm = now.algorithm;
	*data = *now.data;
	return true;
}
