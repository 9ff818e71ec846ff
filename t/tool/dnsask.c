/* dnsask ADDRESS PORT QUESTION...: asks by the suite's stub client, all at once. A QUESTION is
 * NAME/TYPE with TYPE as a number. Prints a line for each, in their order: the name, the type, what
 * came of it, the owner, then the records. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub.h"
#include "libcommon/net/loop.h"

struct one {
	const char *text;
	struct buf line;
};

static struct stub *stub;
static int left;

static void add_record(struct buf *b, uint16_t type, const struct stub_rr *r)
{
	char ip[INET6_ADDRSTRLEN];
	if (type == DNS_A)
		buf_printf(b, " [%s]", inet_ntop(AF_INET, &r->a, ip, sizeof(ip)));
	else if (type == DNS_AAAA)
		buf_printf(b, " [%s]", inet_ntop(AF_INET6, &r->aaaa, ip, sizeof(ip)));
	else if (type == DNS_MX)
		buf_printf(b, " [%u %s]", r->preference, r->name);
	else if (type == DNS_TLSA)
		buf_printf(b, " [%u %u %u %zu]", r->usage, r->selector, r->matching, r->data.len);
	else if (r->name)
		buf_printf(b, " [%s]", r->name);
	else
		buf_printf(b, " [%.*s]", SLICE_FMT(r->data));
}

static void answered(const struct stub_answer *a, void *arg)
{
	struct one *q = arg;
	buf_printf(&q->line, "%s: %s, %s", q->text, stub_kind_text(a->kind), a->owner);
	for (size_t i = 0; i < a->n; i++)
		add_record(&q->line, a->type, &a->rr[i]);
	if (--left == 0) {
		stub_free(&stub);
		loop_stop();
	}
}

int main(int argc, char **argv)
{
	struct stub_conf conf = {.servers = 1, .timeout_ms = 1000};
	struct sockaddr_in *to = (struct sockaddr_in *)&conf.server[0];
	to->sin_family = AF_INET;
	if (argc < 4 || inet_pton(AF_INET, argv[1], &to->sin_addr) != 1) {
		fprintf(stderr, "usage: dnsask ADDRESS PORT NAME/TYPE...\n");
		return 64;
	}
	to->sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	stub = stub_new(&conf);
	left = argc - 3;
	struct one *all = mem_alloc((size_t)left * sizeof(*all));
	for (int i = 0; i < argc - 3; i++) {
		struct slice type = slice_of(argv[i + 3]);
		struct slice name = slice_cut(&type, '/');
		uint32_t number = 0;
		all[i].text = argv[i + 3];
		if (!str_u32(type, &number))
			number = DNS_A;
		stub_ask(stub, name, (uint16_t)number, answered, &all[i]);
	}
	loop_run();
	for (int i = 0; i < argc - 3; i++) {
		puts(buf_cstr(&all[i].line));
		buf_free(&all[i].line);
	}
	free(all);
	return 0;
}
