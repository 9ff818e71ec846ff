/* CPU time of checking one signature, by algorithm: ours (the canonical form, then ldns), beside
 * ldns's own check of parsed records and the arithmetic alone. Prints
 * "name<TAB>ours<TAB>peer<TAB>ratio<TAB>unit" lines; then what proofs cost. dnsd_validate [ROUNDS]
 */
#include <ldns/ldns.h>
#include <openssl/evp.h>
#include <time.h>
#include "t/unit/dnsd_validate_kit.h"

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* anew: with a key that was not seen before. */
static double ours(const struct rrset *set, const struct rrset *keys, unsigned rounds, bool anew)
{
	double from = seconds();
	for (unsigned i = 0; i < rounds; i++) {
		struct validate_work w;
		struct validate v;
		if (anew)
			validate_forget();
		validate_work_init(&w);
		validate_begin(&v, set, keys, KIT_NOW, 0);
		if (validate_step(&v, &w) != RRSET_SECURE)
			abort();
	}
	return (seconds() - from) / rounds * 1e6;
}

static ldns_rr *record(const uint8_t *owner, uint16_t type, struct slice rdata)
{
	struct buf b = {0};
	ldns_rr *rr = NULL;
	size_t at = 0;
	buf_add(&b, owner, dns_name_len(owner));
	kit_u16(&b, type);
	kit_u16(&b, DNS_IN);
	kit_u16(&b, 0);
	kit_u16(&b, 3600);
	kit_u16(&b, (unsigned)rdata.len);
	buf_add_slice(&b, rdata);
	if (ldns_wire2rr(&rr, (uint8_t *)b.p, b.len, &at, LDNS_SECTION_ANSWER))
		abort();
	buf_free(&b);
	return rr;
}

static double ldns(const struct rrset *set, const struct rrset *keys, unsigned rounds)
{
	struct slice data = set->data, rdata = {0};
	ldns_rr_list *list = ldns_rr_list_new();
	for (unsigned i = 0; i < set->n && rrset_next(&data, &rdata); i++)
		ldns_rr_list_push_rr(list, record(set->owner, set->type, rdata));
	rrset_next(&data, &rdata);
	ldns_rr *sig = record(set->owner, DNS_RRSIG, rdata);
	data = keys->data;
	rrset_next(&data, &rdata);
	ldns_rr *key = record(keys->owner, DNS_DNSKEY, rdata);
	double from = seconds();
	for (unsigned i = 0; i < rounds; i++)
		if (ldns_verify_rrsig_time(list, sig, key, KIT_NOW))
			abort();
	from = (seconds() - from) / rounds * 1e6;
	ldns_rr_list_deep_free(list);
	ldns_rr_free(sig);
	ldns_rr_free(key);
	return from;
}

/* The arithmetic alone, with a key and a digest that are ready: nothing can be faster. */
static double openssl(const char *kind, const char *digest, size_t bits, unsigned rounds)
{
	static const uint8_t data[100];
	uint8_t sig[1024];
	size_t len = sizeof(sig);
	EVP_PKEY *key = !strcmp(kind, "RSA") ? EVP_PKEY_Q_keygen(NULL, NULL, kind, bits)
			: !strcmp(kind, "EC")
			    ? EVP_PKEY_Q_keygen(NULL, NULL, kind, bits == 256 ? "P-256" : "P-384")
			    : EVP_PKEY_Q_keygen(NULL, NULL, kind);
	EVP_MD *md = digest ? EVP_MD_fetch(NULL, digest, NULL) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, md, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, &len, data, sizeof(data)) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	double from = seconds();
	for (unsigned i = 0; i < rounds; i++) {
		ctx = EVP_MD_CTX_new();
		if (EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1 ||
		    EVP_DigestVerify(ctx, sig, len, data, sizeof(data)) != 1)
			abort();
		EVP_MD_CTX_free(ctx);
	}
	from = (seconds() - from) / rounds * 1e6;
	EVP_MD_free(md);
	EVP_PKEY_free(key);
	return from;
}

static void signatures(unsigned rounds)
{
	static const struct {
		const char *name;
		uint8_t algorithm;
		unsigned bits;
		const char *kind, *digest;
	} row[] = {{"RSA 1024 SHA-256", 8, 1024, "RSA", "SHA256"},
		   {"RSA 2048 SHA-256", 8, 2048, "RSA", "SHA256"},
		   {"RSA 4096 SHA-256", 8, 4096, "RSA", "SHA256"},
		   {"ECDSA P-256", 13, 256, "EC", "SHA256"},
		   {"ECDSA P-384", 14, 384, "EC", "SHA384"},
		   {"Ed25519", 15, 0, "ED25519", NULL},
		   {"Ed448", 16, 0, "ED448", NULL}};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct kit_key k;
		struct rrset *set = kit_text("www.example. 3600 A 192.0.2.2\n"
					     "www.example. 3600 A 192.0.2.1\n");
		kit_key(&k, row[i].algorithm, row[i].bits);
		kit_sign(set, &k, &(struct kit_sig){.signer = "example."});
		const struct rrset *keys = kit_dnskey("example.", &k, 1);
		ours(set, keys, 10, true);
		double mine = ours(set, keys, rounds, false), anew = ours(set, keys, rounds, true);
		double peer = ldns(set, keys, rounds);
		printf("signature, %s\t%.2f\t%.2f\t%.2f\tus CPU (peer: ldns %s)\n", row[i].name,
		       mine, peer, peer / mine, ldns_version());
		double least = openssl(row[i].kind, row[i].digest, row[i].bits, rounds);
		printf("signature, %s\t%.2f\t%.2f\t%.2f\tus CPU (peer: OpenSSL alone)\n",
		       row[i].name, mine, least, least / mine);
		printf("signature, %s, a new key\t%.2f\t%.2f\t%.2f\tus CPU (peer: ldns %s)\n",
		       row[i].name, anew, peer, peer / anew, ldns_version());
		kit_key_free(&k);
	}
}

static void proofs(unsigned rounds)
{
	static const struct {
		const char *name, *record[3];
	} row[] = {{"name error by NSEC",
		    {"b.example. NSEC ns1.example. A\n", "example. NSEC a.example. SOA\n",
		     "ns1.example. NSEC x.example. A\n"}},
		   {"name error by NSEC3, 12 iterations",
		    {"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 1 0 12 aabbccdd "
		     "2t7b4g4vsa5smi47k61mv5bv1a22bojr SOA\n",
		     "b4um86eghhds6nea196smvmlo4ors995.example. NSEC3 1 0 12 aabbccdd "
		     "gjeqe526plbf1g8mklp59enfd789njgi MX\n",
		     "35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3 1 0 12 aabbccdd "
		     "b4um86eghhds6nea196smvmlo4ors995 NS DS\n"}}};
	for (unsigned i = 0; i < sizeof(row) / sizeof(*row); i++) {
		const uint8_t *zone = kit_name("example");
		const uint8_t *name = kit_name(i ? "a.c.x.w.example" : "ml.example");
		const struct rrset *set[3];
		for (unsigned k = 0; k < 3; k++)
			set[k] = kit_text(row[i].record[k]);
		double from = seconds();
		for (unsigned r = 0; r < rounds; r++) {
			struct validate_work w;
			struct denial d;
			struct proof p;
			validate_work_init(&w);
			denial_init(&d, zone);
			for (unsigned k = 0; k < 3; k++)
				denial_add_secure(&d, set[k]);
			if (denial_nxdomain(&d, name, &w, &p) != RRSET_SECURE)
				abort();
		}
		printf("proof, %s\t%.2f\t\t\tus CPU\n", row[i].name,
		       (seconds() - from) / rounds * 1e6);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
	signatures(rounds ? rounds : 1);
	proofs(rounds ? rounds : 1);
	kit_end(NULL);
	validate_forget();
	return 0;
}
