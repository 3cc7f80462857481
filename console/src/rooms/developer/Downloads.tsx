// The programs that fit this installation, with their checksums; where there is none, how to come by it.
import { useQuery } from "@tanstack/react-query";
import { at } from "../../api/at";
import { oneQuery } from "../../api/lists";
import { CopyLine, Empty, Facts, Family, Loaded, Page, bytes } from "../../ui/kit";
import { DEVELOPER } from "./family";

export function Downloads() {
  const list = useQuery(oneQuery(at("/api/v1/downloads")));
  return (
    <Page title="Downloads">
      <Family label="Developer" links={DEVELOPER} />
      <Loaded query={list}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="card">
              <Empty title="No program stands beside this coordinator">
                <p>
                  <code>make build</code> leaves muster and muster-agent in <code>target/release</code>, beside the coordinator; the Debian package <code>muster</code> installs the command line.
                  Whoever runs Muster here can put them there.
                </p>
              </Empty>
            </div>
          ) : (
            <>
              {items.map((one) => (
                <section key={one.name} className="card stack" aria-labelledby={`download-${one.name}`}>
                  <div className="row apart">
                    <h2 id={`download-${one.name}`}>{one.name}</h2>
                    <a className="button primary" download={one.name} href={one.href}>
                      Download<span className="visually-hidden"> {one.name}</span>
                    </a>
                  </div>
                  <p>{one.description}</p>
                  <Facts
                    of={[
                      ["Runs on", one.system],
                      ["Size", bytes(one.bytes)],
                      ["SHA-256", <CopyLine key="sum" text={one.sha256} what="the checksum" />],
                    ]}
                  />
                </section>
              ))}
              <section className="card stack" aria-labelledby="check-head">
                <h2 id="check-head">Check and install</h2>
                <p>The line says OK if the file is the one that stands here. It is as old or new as this coordinator.</p>
                {items.slice(0, 1).map((one) => (
                  <CopyLine key={one.name} text={`echo '${one.sha256}  ${one.name}' | sha256sum -c && sudo install -m 755 ${one.name} /usr/local/bin/${one.name}`} what="the line" />
                ))}
              </section>
            </>
          )
        }
      </Loaded>
    </Page>
  );
}
