/* `zone key`: a new key for TSIG, as dnsd and the servers of others take it. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include "hamletctl/zone.h"
#include "libcommon/dns/tsig.h"

int run_zone_key(const struct cmd *c, int argc, const char *const *argv)
{
	struct tsig_key key = {.algorithm = TSIG_SHA256};
	char text[TSIG_TEXT];
	const char *algorithm = "hmac-sha256", *why;
	(void)c;
	if (argc == 5 && strcmp(argv[3], "--algorithm") == 0)
		algorithm = argv[4];
	else if (argc != 3)
		return complain(EX_USAGE,
				"zone key: give a name, and perhaps --algorithm ALGORITHM");
	if (!tsig_algorithm(slice_of(algorithm), &key.algorithm, &key.mac_len) ||
	    key.algorithm == TSIG_SHA1)
		return complain(EX_USAGE, "--algorithm %s: not one for new keys (try hmac-sha256)",
				algorithm);
	why = tsig_key_name(&key, slice_of(argv[2]));
	if (why)
		return complain(EX_USAGE, "%s %s", argv[2], why);
	tsig_key_make(&key);
	tsig_key_text(text, &key);
	bool ok = puts(text) >= 0 && fflush(stdout) == 0;
	explicit_bzero(text, sizeof(text));
	tsig_key_wipe(&key);
	return ok ? EX_OK : complain(EX_IOERR, "standard output cannot be written");
}
