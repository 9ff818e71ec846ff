/* CPU time of signing with the key at hand, that is without the way to keyd: a zone the first time,
 * and after one change. Prints "name<TAB>ours<TAB><TAB><TAB>unit" lines.
 *   dnsd_sign [NAMES]
 * Or signs a zone's text and prints it, for programs that check zones:
 *   dnsd_sign ZONE FILE [nsec3] [zonemd] */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonetext.h"
#include "t/unit/dnsd_signer.h"

enum { DAY = 86400, LIFETIME = 14 * DAY, REFRESH = 5 * DAY };
static int folder;
static const struct image *before;

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void complain(void *arg, bool error, const char *line)
{
	(void)arg;
	(void)error;
	fprintf(stderr, "%s\n", line);
}

static void complain_text(void *arg, const char *line)
{
	complain(arg, true, line);
}

static bool add(void *arg, const struct zone_rr *rr)
{
	const char *why;
	return image_add(arg, rr->owner, rr->type, rr->ttl, rr->rdata, rr->rdlen, &why);
}

static void begin(struct sign *s)
{
	*s = (struct sign){.lifetime = LIFETIME,
			   .refresh = REFRESH,
			   .now = (uint64_t)time(NULL),
			   .before = before,
			   .batch = signer_batch,
			   .keys = 1};
	signer_make(0, &s->key[0]);
	s->key[0].cds = true;
}

static struct image *finish(struct image_maker *m)
{
	const char *why;
	if (!image_finish(m, NULL, complain, NULL))
		exit(1);
	struct image *i = image_open(folder, "image", &why);
	if (!i)
		exit(1);
	return i;
}

static int print(const uint8_t *zone, const char *file, int argc, char **argv)
{
	struct sign s;
	struct buf out;
	begin(&s);
	for (int i = 3; i < argc; i++) {
		s.nsec3 |= strcmp(argv[i], "nsec3") == 0;
		s.zonemd |= strcmp(argv[i], "zonemd") == 0;
	}
	struct image_options o = {.sign = sign_zone, .sign_arg = &s};
	struct image_maker *m = image_make(folder, "image", zone, &o);
	struct zonetext z = {.origin = zone, .on_rr = add, .on_error = complain_text, .arg = m};
	if (zonetext_file(&z, file))
		return 1;
	struct image *i = finish(m);
	buf_init(&out, 0);
	print_image(&out, i);
	fwrite(out.p, 1, out.len, stdout);
	buf_free(&out);
	image_close(&i);
	return 0;
}

static struct image *make(const uint8_t *zone, unsigned names, unsigned change, struct sign *s)
{
	struct image_options o = {.sign = s ? sign_zone : NULL, .sign_arg = s};
	struct image_maker *m = image_make(folder, "image", zone, &o);
	struct buf text;
	buf_init(&text, 0);
	buf_adds(&text, "@ 3600 SOA ns1 root 1 3600 600 86400 300\n@ 3600 NS ns1\n"
			"ns1 3600 A 192.0.2.1\n");
	for (unsigned i = 0; i < names; i++)
		buf_printf(&text, "host%u 3600 A 10.%u.%u.%u\n", i, i >> 16 & 255, i >> 8 & 255,
			   (i + (i == 500 ? change : 0)) & 255);
	struct zonetext z = {.origin = zone, .on_rr = add, .on_error = complain_text, .arg = m};
	if (zonetext_memory(&z, "zone", buf_slice(&text)))
		exit(1);
	buf_free(&text);
	return finish(m);
}

static void figure(const char *name, double v, const char *unit)
{
	printf("%s\t%.3f\t\t\t%s\n", name, v, unit);
}

static void measure(unsigned names)
{
	static const uint8_t zone[] = "\5bench\4test";
	struct sign s;
	double t = seconds();
	struct image *i = make(zone, names, 0, NULL);
	image_close(&i);
	figure("unsigned", seconds() - t, "s");
	begin(&s);
	t = seconds();
	struct image *first = make(zone, names, 0, &s);
	figure("signed the first time", seconds() - t, "s");
	figure("signatures made", (double)s.made, "");
	before = first;
	begin(&s);
	t = seconds();
	i = make(zone, names, 1, &s);
	figure("after one change", seconds() - t, "s");
	figure("signatures made", (double)s.made, "");
	image_close(&i);
	image_close(&first);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/hamlet-sign-XXXXXX";
	uint8_t zone[DNS_NAME_MAX];
	int status = 0;
	if (!mkdtemp(path))
		return 1;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (argc > 2 && dns_name_from_text(slice_of(argv[1]), zone))
		status = print(zone, argv[2], argc, argv);
	else
		measure(argc > 1 ? (unsigned)atoi(argv[1]) : 100000);
	unlinkat(folder, "image", 0);
	close(folder);
	rmdir(path);
	signer_end();
	return status;
}
