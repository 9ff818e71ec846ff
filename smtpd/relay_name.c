/* Domains of addresses as names of DNS. */
#include <idn2.h>
#include "smtpd/relay_conf.h"

bool domain_ascii(struct slice domain, char out[DOMAIN_TEXT])
{
	if (domain.len && domain.p[domain.len - 1] == '.')
		domain.len--;
	if (!domain.len || domain.len >= DOMAIN_TEXT || memchr(domain.p, 0, domain.len))
		return false;
	memcpy(out, domain.p, domain.len);
	out[domain.len] = 0;
	if (!str_ascii(domain)) {
		uint8_t *ascii = NULL;
		/* UTS 46 folds case and width; without its transitional part: ß is not ss. */
		int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
		if (idn2_lookup_u8((const uint8_t *)out, &ascii, flags) != IDN2_OK)
			return false;
		bool fits = str_fmt(out, DOMAIN_TEXT, "%s", (const char *)ascii);
		idn2_free(ascii);
		if (!fits || !*out)
			return false;
	}
	str_lowern(out, strlen(out));
	return true;
}

bool domain_is_host(struct slice ascii)
{
	struct slice last = ascii;
	size_t digits = 0;
	if (!ascii.len)
		return false;
	for (size_t i = 0; i < ascii.len; i++)
		if (ascii.p[i] == '.')
			last = (struct slice){ascii.p + i + 1, ascii.len - i - 1};
	for (size_t i = 0; i < last.len; i++)
		digits += last.p[i] >= '0' && last.p[i] <= '9';
	return digits < last.len;
}
