/* Any text is a smtpd.conf or a list of mistakes, with routes that read back; any bytes have a
 * route. The first line is the domain, the rest the configuration. */
#include <stdlib.h>
#include "smtpd/smtpd.h"

static char *dump(void)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	conf_dump(f, conf_table, &conf);
	fclose(f);
	return text;
}

static int parse(struct pool *pool, const char *text, size_t len)
{
	FILE *f = fopen("/dev/null", "w");
	memset(&conf, 0, sizeof(conf));
	int bad = conf_parse(pool, "f", text, len, conf_table, &conf, conf_verify, f);
	fclose(f);
	return bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice rest = {(const char *)data, len}, domain = slice_cut(&rest, '\n');
	struct pool *pool = pool_new(0);
	char ascii[DOMAIN_TEXT], again[DOMAIN_TEXT];
	if (domain_ascii(domain, ascii)) {
		if (!str_ascii(slice_of(ascii)))
			abort();
		domain_is_host(slice_of(ascii));
		/* Once more changes nothing, but that each time a dot may go from the end. */
		size_t n = strlen(ascii);
		if (ascii[n - 1] != '.' &&
		    (!domain_ascii(slice_of(ascii), again) || strcmp(ascii, again) != 0))
			abort();
	}
	if (parse(pool, rest.p, rest.len) == 0) {
		char *one = dump();
		if (!route_of(domain) || parse(pool, one, strlen(one)) != 0)
			abort();
		char *two = dump();
		if (strcmp(one, two) != 0)
			abort();
		free(one);
		free(two);
	}
	pool_free(&pool);
	return 0;
}
