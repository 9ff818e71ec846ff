/* Signatures of an image, checked by ldns. */
#ifndef T_DNSD_VERIFY_H
#define T_DNSD_VERIFY_H
#include <ldns/ldns.h>
#include "t/unit/dnsd_signer.h"

static inline ldns_rr_list *records(const struct image *i)
{
	struct buf all = {0};
	ldns_rr_list *l = ldns_rr_list_new();
	print_image(&all, i);
	struct slice rest = buf_slice(&all);
	while (rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		char *text = strndup(line.p, line.len);
		ldns_rr *rr;
		assert_int_equal(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
		ldns_rr_list_push_rr(l, rr);
		free(text);
	}
	buf_free(&all);
	return l;
}

static inline bool same_set(const ldns_rr *rr, const ldns_rr *sig)
{
	return ldns_rr_get_type(rr) == ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(sig)) &&
	       ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(sig)) == 0;
}

/* Every signature is right; returns how many there are. */
static inline unsigned verify(const struct image *i)
{
	ldns_rr_list *all = records(i), *keys = ldns_rr_list_new();
	unsigned n = 0;
	for (size_t k = 0; k < ldns_rr_list_rr_count(all); k++)
		if (ldns_rr_get_type(ldns_rr_list_rr(all, k)) == LDNS_RR_TYPE_DNSKEY)
			ldns_rr_list_push_rr(keys, ldns_rr_list_rr(all, k));
	for (size_t k = 0; k < ldns_rr_list_rr_count(all); k++) {
		ldns_rr *sig = ldns_rr_list_rr(all, k);
		if (ldns_rr_get_type(sig) != LDNS_RR_TYPE_RRSIG)
			continue;
		ldns_rr_list *set = ldns_rr_list_new(), *one = ldns_rr_list_new();
		for (size_t j = 0; j < ldns_rr_list_rr_count(all); j++)
			if (same_set(ldns_rr_list_rr(all, j), sig))
				ldns_rr_list_push_rr(set, ldns_rr_list_rr(all, j));
		ldns_rr_list_push_rr(one, sig);
		assert_int_equal(ldns_verify(set, one, keys, NULL), LDNS_STATUS_OK);
		ldns_rr_list_free(set);
		ldns_rr_list_free(one);
		n++;
	}
	ldns_rr_list_free(keys);
	ldns_rr_list_deep_free(all);
	return n;
}
#endif
