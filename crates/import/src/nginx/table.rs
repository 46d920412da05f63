//! What becomes of each of nginx's directives: the one table of this source.
//!
//! A name that the table of keys in `appliance-project` has as nginx's is carried over by that
//! key's type, and needs no row. A row is for what takes more than that: a construct that is read
//! by code of its own, or something that has no key.

use appliance_project::Program;

use crate::fate::Fate::{self, Default, Guard, Missing, NotNeeded};
use crate::fate::{Row, find};

/// A directive that is more than a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Construct {
    Access,
    AddHeader,
    Alias,
    Backend,
    Charset,
    ClientMaxBodySize,
    ErrorLog,
    ErrorPage,
    Expires,
    Gzip,
    HideHeader,
    If,
    Index,
    Internal,
    KeepaliveTimeout,
    LargeHeaders,
    LimitConn,
    LimitExcept,
    LimitReq,
    Listen,
    Location,
    Map,
    Params,
    ProxySsl,
    RealIpHeader,
    Return,
    Rewrite,
    Root,
    ServerName,
    TempPath,
    TryFiles,
    Types,
    Upstream,
    User,
    VerifyClient,
    WorkerProcesses,
}

use Construct::*;
/// Names, and what becomes of them.
#[rustfmt::skip]
static ROWS: &[Row<Construct>] = &[
    // What is read by code of its own.
    (&["add_header"], Fate::Construct(AddHeader)),
    (&["alias"], Fate::Construct(Alias)),
    (&["root"], Fate::Construct(Root)),
    (&["uwsgi_pass", "proxy_pass"], Fate::Construct(Backend)),
    (&["client_max_body_size"], Fate::Construct(ClientMaxBodySize)),
    (&["deny", "allow", "auth_basic", "auth_basic_user_file"], Fate::Construct(Access)),
    (&["error_log"], Fate::Construct(ErrorLog)),
    (&["error_page"], Fate::Construct(ErrorPage)),
    (&["expires"], Fate::Construct(Expires)),
    (&["charset"], Fate::Construct(Charset)),
    (&["gzip", "brotli", "zstd"], Fate::Construct(Gzip)),
    (&["uwsgi_hide_header", "proxy_hide_header"], Fate::Construct(HideHeader)),
    (&["if"], Fate::Construct(If)),
    (&["index"], Fate::Construct(Index)),
    (&["internal"], Fate::Construct(Internal)),
    (&["keepalive_timeout"], Fate::Construct(KeepaliveTimeout)),
    (&["large_client_header_buffers"], Fate::Construct(LargeHeaders)),
    (&["limit_conn"], Fate::Construct(LimitConn)),
    (&["limit_req"], Fate::Construct(LimitReq)),
    (&["limit_except"], Fate::Construct(LimitExcept)),
    (&["listen"], Fate::Construct(Listen)),
    (&["location"], Fate::Construct(Location)),
    (&["map"], Fate::Construct(Map)),
    (&["uwsgi_param"], Fate::Construct(Params)),
    (&["proxy_ssl_verify", "proxy_ssl_trusted_certificate", "proxy_ssl_name", "proxy_ssl_server_name"], Fate::Construct(ProxySsl)),
    (&["real_ip_header"], Fate::Construct(RealIpHeader)),
    (&["return"], Fate::Construct(Return)),
    (&["rewrite"], Fate::Construct(Rewrite)),
    (&["server_name"], Fate::Construct(ServerName)),
    (&["client_body_temp_path", "uwsgi_temp_path"], Fate::Construct(TempPath)),
    (&["try_files"], Fate::Construct(TryFiles)),
    (&["types"], Fate::Construct(Types)),
    (&["upstream"], Fate::Construct(Upstream)),
    (&["ssl_verify_client"], Fate::Construct(VerifyClient)),
    (&["user"], Fate::Construct(User)),
    (&["worker_processes"], Fate::Construct(WorkerProcesses)),

    // What appliance does by itself.
    (&["pid"], NotNeeded("`appliance reload` and `appliance stop` find the server by its project file; `server.pidfile` writes one")),
    (&["client_header_buffer_size"], Default("a head takes what it needs, up to `server.head_limit`")),
    (&["limit_conn_zone"], Default("`server.connections_per_address` counts by itself")),
    (&["types_hash_max_size", "types_hash_bucket_size", "server_names_hash_max_size", "server_names_hash_bucket_size", "variables_hash_max_size", "variables_hash_bucket_size", "map_hash_max_size", "map_hash_bucket_size"], NotNeeded("tables size themselves")),
    (&["open_file_cache", "open_file_cache_valid", "open_file_cache_min_uses", "open_file_cache_errors"], Default("hot files are kept in memory and looked at again by themselves")),
    (&["aio", "directio", "output_buffers", "sendfile_max_chunk", "postpone_output", "read_ahead"], Default("files are sent from memory or by sendfile, as their size asks for")),
    (&["etag", "if_modified_since", "max_ranges"], Default("files have validators and ranges")),
    (&["server_tokens", "more_clear_headers"], Default("responses do not name a version")),
    (&["reset_timedout_connection", "lingering_close", "lingering_time", "lingering_timeout"], Default("connections are closed as their state asks for")),
    (&["merge_slashes"], Default("paths are compared without empty segments")),
    (&["absolute_redirect", "port_in_redirect", "server_name_in_redirect"], Default("redirects name no host")),
    (&["disable_symlinks"], Default("a route never leaks outside its folder by a symbolic link")),
    (&["worker_rlimit_nofile"], Missing("the limit is that of the service: `LimitNOFILE=` in its unit")),
    (&["worker_cpu_affinity"], Default("workers run wherever the kernel puts them; `python.cpu_affinity = 1` binds each to a CPU")),
    (&["worker_priority", "use", "multi_accept", "accept_mutex", "thread_pool", "pcre_jit", "timer_resolution"], NotNeeded("there is nothing to set")),
    (&["client_body_in_file_only", "client_body_in_single_buffer"], Default("bodies are kept in memory or spooled by their size, see `python.body_buffer`")),
    (&["gzip_types", "gzip_min_length", "gzip_comp_level", "gzip_vary", "gzip_proxied", "gzip_buffers", "gzip_http_version", "gzip_disable", "brotli_types", "brotli_comp_level", "brotli_min_length", "zstd_types", "zstd_comp_level", "gunzip"], Default("what is compressed, and how, is chosen by its type and size; a list in `compress` names the types itself")),
    (&["brotli_static", "zstd_static"], Default("`.gz`, `.br` and `.zst` files beside a file are always sent")),
    (&["charset_types", "source_charset", "override_charset"], Default("the charset is said of text files")),
    (&["ignore_invalid_headers"], Default("a request with an invalid field is refused")),
    (&["log_not_found", "log_subrequest"], Default("a missing file is no error")),
    (&["recursive_error_pages"], Default("an error page is never answered by another one")),
    (&["msie_padding", "chunked_transfer_encoding", "server_names", "resolver", "resolver_timeout"], NotNeeded("there is nothing to set")),

    // What spoke to the application.
    (&["uwsgi_buffering", "uwsgi_request_buffering", "uwsgi_pass_request_headers", "uwsgi_pass_request_body", "uwsgi_connect_timeout", "uwsgi_send_timeout", "uwsgi_busy_buffers_size", "uwsgi_ignore_client_abort", "uwsgi_next_upstream", "uwsgi_modifier1", "uwsgi_modifier2", "uwsgi_max_temp_file_size", "uwsgi_pass_header", "uwsgi_temp_file_write_size", "uwsgi_socket_keepalive", "uwsgi_string"], NotNeeded("nothing lies between front and application")),
    (&["proxy_http_version", "proxy_redirect", "proxy_buffering", "proxy_buffers", "proxy_buffer_size", "proxy_busy_buffers_size", "proxy_request_buffering", "proxy_connect_timeout", "proxy_send_timeout", "proxy_set_header", "proxy_pass_header", "proxy_headers_hash_max_size", "proxy_headers_hash_bucket_size", "proxy_max_temp_file_size", "proxy_temp_path", "proxy_ignore_client_abort", "proxy_next_upstream", "proxy_next_upstream_tries", "proxy_pass_request_headers", "proxy_pass_request_body", "proxy_socket_keepalive", "proxy_cache_bypass", "proxy_no_cache"], NotNeeded("nothing lies between front and application, which sees host, scheme and client as they are")),
    (&["uwsgi_cache", "uwsgi_cache_path", "uwsgi_cache_key", "uwsgi_cache_valid", "proxy_cache", "proxy_cache_path", "proxy_cache_key", "proxy_cache_valid", "proxy_cache_use_stale", "proxy_cache_lock", "proxy_cache_methods", "proxy_cache_revalidate", "proxy_cache_min_uses", "proxy_ignore_headers", "proxy_store"], Missing("responses are not cached: use the framework's cache, or a CDN")),
    (&["proxy_ssl_certificate_key", "proxy_ssl_password_file"], Missing("other servers are not shown a certificate of ours yet")),
    (&["proxy_ssl_conf_command", "proxy_ssl_key_log"], Default("TLS has one good set of parameters")),
    (&["proxy_bind", "proxy_cookie_path", "proxy_cookie_domain", "proxy_cookie_flags", "proxy_method", "proxy_set_body"], Missing("there is nothing like it: the application has to do it")),
    (&["fastcgi_pass", "fastcgi_param", "fastcgi_index", "fastcgi_split_path_info", "scgi_pass", "grpc_pass", "memcached_pass", "fastcgi_read_timeout", "fastcgi_buffers", "fastcgi_buffer_size", "fastcgi_intercept_errors"], Missing("appliance runs WSGI applications: keep a server for this one beside it")),

    // What has no counterpart.
    (&["http2_push", "http2_push_preload"], NotNeeded("browsers have given up on pushes: `wsgi.early_hints` does better")),
    (&["http2"], Default("browsers get HTTP/2 by TLS, unless `site.http2 = \"off\"` says otherwise")),
    (&["http2_idle_timeout", "http2_recv_timeout", "http2_max_field_size", "http2_max_header_size", "http2_max_requests", "http2_chunk_size", "http2_body_preread_size"], Default("HTTP/2 is bounded by itself")),
    (&["http3", "http3_hq", "quic_retry", "quic_gso", "quic_bpf", "ssl_early_data"], Missing("there is no HTTP/3: browsers fall back by themselves")),
    (&["autoindex", "autoindex_exact_size", "autoindex_localtime", "autoindex_format"], Missing("folders are never listed")),
    (&["set", "set_by_lua_block", "geo", "geoip_country", "geoip_city", "geoip2", "split_clients", "variables_hash", "userid", "perl", "js_import", "js_content", "js_set", "rewrite_log", "break"], Missing("there are no variables: let the application decide")),
    (&["sub_filter", "sub_filter_once", "sub_filter_types", "ssi", "addition_types", "add_before_body", "add_after_body", "xslt_stylesheet", "image_filter", "random_index", "slice", "mp4", "flv", "dav_methods", "empty_gif"], Missing("responses are not rewritten: let the application or the front's build do it")),
    (&["mirror", "mirror_request_body"], Missing("requests are not mirrored")),
    (&["limit_rate", "limit_rate_after"], Missing("responses are not slowed down")),
    (&["stub_status"], Missing("`server.admin = \"127.0.0.1:9100\"` serves health, metrics and status on an address of its own")),
    (&["stream", "mail", "rtmp"], Missing("appliance serves HTTP: keep nginx or haproxy for this")),
    (&["load_module"], NotNeeded("appliance has no modules")),
    (&["env"], Missing("`[python.env]` sets variables; those of the service are there anyway")),
    (&["lock_file", "worker_aio_requests", "debug_points", "working_directory", "worker_rlimit_core", "debug_connection"], NotNeeded("there is nothing to set")),
    (&["satisfy"], Default("address and password both have to be right")),
    (&["auth_delay"], Default("two passwords are looked at at a time")),
    (&["auth_request", "auth_jwt", "secure_link", "secure_link_md5", "valid_referers", "modsecurity", "access_by_lua_block"], Guard("access was restricted here")),
    (&["content_by_lua_block", "content_by_lua_file", "rewrite_by_lua_block", "header_filter_by_lua_block", "body_filter_by_lua_block", "log_by_lua_block", "init_by_lua_block"], Missing("there is no Lua: let the application do it")),
    (&["add_trailer", "more_set_headers"], Missing("let the application send it")),
    (&["ssl_session_cache", "ssl_session_timeout", "ssl_session_tickets", "ssl_dhparam", "ssl_ecdh_curve", "ssl_prefer_server_ciphers", "ssl_ciphers", "ssl_conf_command", "ssl_buffer_size", "ssl_session_ticket_key"], Default("TLS has one good set of parameters")),
    (&["ssl_stapling", "ssl_stapling_verify", "ssl_trusted_certificate", "ssl_stapling_file"], NotNeeded("certificate authorities have given up on OCSP")),
    (&["ssl_protocols"], Default("TLS 1.2 and 1.3")),
    (&["limit_req_zone"], Default("its rate stands where it is used")),
    (&["limit_req_status", "limit_conn_status"], Default("429, with the time after which to come again")),
    (&["limit_req_log_level", "limit_conn_log_level", "limit_req_dry_run"], NotNeeded("there is nothing to set")),
    (&["open_log_file_cache"], Default("log files stay open")),
];

/// What becomes of a directive of this name.
pub(crate) fn fate(name: &str) -> Fate<Construct> {
    find(ROWS, Program::Nginx, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::assert_one_row_each;

    #[test]
    fn a_name_has_one_row() {
        assert_one_row_each(ROWS);
    }

    #[test]
    fn the_table_of_keys_is_believed() {
        assert!(matches!(fate("client_header_timeout"), Fate::Key(_)));
        assert!(matches!(fate("sendfile"), Default(_)));
        assert_eq!(fate("sendfil"), Fate::Unknown);
    }
}
