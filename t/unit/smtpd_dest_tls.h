/* TLS for the scripted servers and the destinations that they test: for a whole group. */
#include "t/unit/smtpd_dest_kit.h"
#include "t/unit/common_tls.h"

static struct tls_ctx *trusting;

static int make_tls(void **state)
{
	const char *why = NULL;
	(void)state;
	tls_files_make();
	server_ctx = tls_server_ctx_files(tls_cert_file, tls_key_file, NULL, &why);
	trusting = tls_client_ctx(tls_cert_file, NULL);
	return server_ctx ? 0 : -1;
}

static int drop_tls(void **state)
{
	(void)state;
	tls_ctx_free(&server_ctx);
	tls_ctx_free(&trusting);
	tls_files_drop();
	return 0;
}
