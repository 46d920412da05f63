//! A `server` becomes a `[[site]]`.

use appliance_project::kind;

use crate::draft::{Route, Site, Table};
use crate::fate::Fate;
use crate::report::Verdict;

use super::level::{Level, Reader};
use super::location::inherit;
use super::scope::Scope;
use super::table::{Construct, fate};
use super::tree::Directive;

impl Reader<'_, '_> {
    /// What a server says, then its locations, then the site they make.
    pub(super) fn server(&mut self, server: &Directive, scope: &Scope) {
        let mut scope = scope.clone();
        scope.note_error_pages(server.inner());
        scope.note_host(server.inner());
        self.access(Level::Server, server.inner(), &mut scope);
        self.caching(Level::Server, server.inner(), &mut scope);
        self.error_pages(server.inner(), &mut scope);
        let mut site = Site {
            place: Some(server.place),
            listen: Vec::new(),
            server_name: Vec::new(),
            is_default: false,
            table: Table::default(),
            tls: Table::default(),
            routes: Vec::new(),
        };
        let (mut locations, mut rewrites) = (Vec::new(), Vec::new());
        let (mut returns, mut chain) = (None, None);
        for directive in server.inner() {
            match fate(&directive.name) {
                Fate::Construct(Construct::Listen) => self.listen(directive, &mut site, &mut scope),
                Fate::Construct(Construct::ServerName) => self.server_name(directive, &mut site),
                Fate::Construct(Construct::Location) => locations.push(directive),
                Fate::Construct(Construct::Rewrite) => rewrites.push(directive),
                Fate::Construct(Construct::Return) => returns = Some(directive),
                Fate::Construct(Construct::TryFiles) => chain = Some(directive),
                _ => self.directive(Level::Server, directive, &mut scope),
            }
        }
        if site.listen.is_empty() {
            site.listen.push("0.0.0.0:80".to_owned());
        }
        for directive in &rewrites {
            self.rewrite(directive, &mut site);
        }
        if let Some(directive) = returns {
            self.whole_site_returns(directive, &scope, &mut site);
        }
        match self.pages_line(&locations, &scope) {
            Some(line) => Scope::put(&mut scope.site, line),
            None => self.drop_intercept(&mut scope.site),
        }
        scope.pages.clear();
        for line in &scope.site {
            site.table.inherit(line);
        }
        for line in &scope.tls {
            site.tls.inherit(line);
        }
        for location in &locations {
            self.location(location, &locations, &scope, &mut site);
        }
        self.outside_of_locations(chain, &locations, &scope, &mut site);
        site.place = Some(server.place);
        self.keep(server, site);
    }

    /// What answers a path that no location has: the files of the server's own root.
    fn outside_of_locations(
        &mut self,
        chain: Option<&Directive>,
        locations: &[&Directive],
        scope: &Scope,
        site: &mut Site,
    ) {
        let has_root_route = site.routes.iter().any(|route| route.pattern == "/");
        let has_location = locations.iter().any(|location| location.args == ["/"]);
        if let Some((root, place)) = scope.root.clone()
            && !has_root_route
            && !has_location
            && site.place.is_some()
        {
            let mut route = Route {
                place: Some(place),
                pattern: "/".to_owned(),
                target: ("files", root.into()),
                table: Table::default(),
                withheld: None,
            };
            self.files_route(&mut route, chain, locations, scope, site);
            if !site
                .routes
                .iter()
                .any(|other| other.pattern == route.pattern)
            {
                site.routes.push(route);
            }
        } else if let Some(chain) = chain {
            self.row(
                chain.place,
                Verdict::NotNeeded,
                "every path has a location of its own",
            );
        }
    }

    fn whole_site_returns(&mut self, directive: &Directive, scope: &Scope, site: &mut Site) {
        // Locations of such a server are never asked.
        site.place = None;
        let to_https = directive
            .args
            .iter()
            .any(|arg| arg.starts_with("https://$"));
        if to_https && kind("[site.tls]", "certificate").is_none() {
            let text = "there is no TLS yet: what ends TLS in front has to redirect to it";
            return self.row(directive.place, Verdict::Missing, text);
        }
        let mut route = Route {
            place: Some(directive.place),
            pattern: "/".to_owned(),
            target: ("redirect", true.into()),
            table: Table::default(),
            withheld: None,
        };
        if self.returns(directive, &mut route) {
            inherit(&mut route, scope);
            site.routes = vec![route];
        }
    }

    /// A site needs a route.
    fn keep(&mut self, server: &Directive, site: Site) {
        let all_withheld = site.routes.iter().all(|route| route.withheld.is_some());
        if site.routes.is_empty() {
            let text = "no route of it can be carried over: there is no such site";
            return self.row(server.place, Verdict::Missing, text);
        }
        let count = site.routes.len();
        let text = match all_withheld {
            true => {
                "a site whose routes are comments: see why before you take the `#` away".to_owned()
            }
            false => format!(
                "a site with {count} {}",
                if count == 1 { "route" } else { "routes" }
            ),
        };
        let verdict = if all_withheld {
            Verdict::Trap
        } else {
            Verdict::Carried
        };
        self.row(server.place, verdict, text);
        self.import.draft.sites.push(site);
    }
}
